//! A card as one page that needs nothing else: no script, no font, nothing fetched.

use super::content::Block;
use super::escape::html as escape;
use super::plot;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1d2430;--paper:#fff;--faint:#d9dee6;--mark:#2f6fb3;--below:#b3541e}
@media(prefers-color-scheme:dark){:root{--ink:#e4e8ee;--paper:#14181f;--faint:#39424f;--mark:#6aa9e9;--below:#e08a50}}
body{margin:0 auto;padding:1rem;max-width:44rem;font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);overflow-wrap:anywhere}
h1{font-size:1.4rem;line-height:1.25}h2{font-size:1.1rem;margin-top:2rem}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.875rem;overflow-wrap:normal}
th,td{padding:.25rem .75rem .25rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--faint)}
td{font-variant-numeric:tabular-nums;max-width:22rem;overflow-wrap:anywhere;min-width:3.5rem}
figure{margin:1.5rem 0;max-width:34rem}figcaption{font-weight:600;margin-bottom:.25rem}
svg{display:block;width:100%;height:auto}svg text{font-size:11px;fill:var(--ink)}
.mark{fill:var(--mark)}.below{fill:var(--below)}.line{fill:none;stroke:var(--mark);stroke-width:2}.grid{fill:none;stroke:var(--faint)}
";

pub(super) fn render(title: &str, blocks: &[Block]) -> String {
    let title = escape(title);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    );
    for block in blocks {
        out.push_str(&match block {
            Block::Heading(text) => format!("<h2>{}</h2>\n", escape(text)),
            Block::Text(text) => format!("<p>{}</p>\n", escape(text)),
            Block::Table { head, rows } => table(head, rows),
            Block::Bars { title, bars, digits } => plot::bars(title, bars, *digits),
            Block::Concentration(points) => {
                plot::concentration("Share of all interactions that the most frequent items have", points)
            }
            Block::Days { title, first, counts } => plot::days(title, *first, counts),
        });
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let cells = |row: &[String]| row.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect::<String>();
    let head: String = head.iter().map(|cell| format!("<th scope=\"col\">{}</th>", escape(cell))).collect();
    let body: String = rows.iter().map(|row| format!("<tr>{}</tr>\n", cells(row))).collect();
    format!("<div class=\"wide\"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n")
}
