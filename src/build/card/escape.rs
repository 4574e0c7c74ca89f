//! Text from outside, made harmless: item ids, names of sites and settings may hold anything.

/// Returns text that is text in HTML, between tags and within quoted attributes; line breaks and control characters become spaces.
pub(super) fn html(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => push(&mut out, c),
        }
        out
    })
}

/// Returns text that is text in Markdown, also in a cell of a table; many readers let HTML through, so that is escaped too.
pub(super) fn markdown(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '#' | '|' | '~' | '!' | '$' => out.extend(['\\', c]),
            c => push(&mut out, c),
        }
        out
    })
}

/// Appends a character that must not begin a tag or an entity.
fn push(out: &mut String, c: char) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        c if c.is_control() => out.push(' '),
        c => out.push(c),
    }
}
