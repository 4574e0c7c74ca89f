//! Small plots as inline SVG, 340 units wide: about the pixels of a phone, so that 11 units of text can be read there.
//!
//! Colours come from the page's classes; text takes the page's colour.

use std::fmt::Write;

use super::content::percent;
use super::escape::html as escape;
use crate::event::Timestamp;
use crate::event::time::DAY;

const WIDTH: f64 = 340.0;
/// Height of a name with its bar.
const ROW: f64 = 30.0;
/// Where curves are drawn.
const LEFT: f64 = 4.0;
const RIGHT: f64 = 336.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 136.0;
const HEIGHT: f64 = 156.0;

/// Bars under their names, the amounts at the right; what is below 0 is drawn in another colour.
pub(super) fn bars(title: &str, bars: &[(String, f64)], digits: usize) -> String {
    let most = bars.iter().map(|(_, n)| n.abs()).fold(f64::MIN_POSITIVE, f64::max);
    let mut marks = String::new();
    let mut y = 0.0;
    for (name, n) in bars {
        let class = if *n < 0.0 { "below" } else { "mark" };
        let (text, bar, width) = (y + 12.0, y + 17.0, WIDTH * n.abs() / most);
        let _ = write!(
            marks,
            r#"<text x="0" y="{text:.1}">{}</text><text x="{WIDTH}" y="{text:.1}" text-anchor="end">{n:.digits$}</text><rect class="{class}" x="0" y="{bar:.1}" width="{width:.1}" height="7" rx="1"/>"#,
            escape(name)
        );
        y += ROW;
    }
    figure(title, y, &marks)
}

/// The share of interactions over the share of items, with the diagonal that equal items would give.
pub(super) fn concentration(title: &str, points: &[(usize, f64)]) -> String {
    #[expect(clippy::cast_precision_loss, reason = "percents")]
    let place = |&(x, share): &(usize, f64)| (across(x as f64 / 100.0), up(share));
    let line: Vec<String> = points.iter().map(place).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let mut marks = format!(
        r#"<path class="grid" d="M{LEFT} {BOTTOM}L{RIGHT} {TOP}M{LEFT} {BOTTOM}H{RIGHT}"/><polyline class="line" points="{}"/>"#,
        line.join(" ")
    );
    for point in points.iter().filter(|(x, _)| matches!(x, 1 | 5 | 20 | 50)) {
        let (x, y) = place(point);
        let label = format!("{} % of items: {}", point.0, percent(point.1));
        // Steep curves rise at the left edge: names stand to the right of their points and below the line.
        let _ = write!(
            marks,
            r#"<circle class="mark" cx="{x:.1}" cy="{y:.1}" r="3"/><text x="{:.1}" y="{:.1}">{label}</text>"#,
            x + 7.0,
            y + 13.0
        );
    }
    let _ = write!(
        marks,
        r#"<text x="{LEFT}" y="{0}">0 %</text><text x="{RIGHT}" y="{0}" text-anchor="end">100 % of items</text>"#,
        BOTTOM + 15.0
    );
    figure(title, HEIGHT, &marks)
}

/// A column for each day.
pub(super) fn days(title: &str, first: Timestamp, counts: &[u64]) -> String {
    let most = counts.iter().copied().max().unwrap_or(0);
    #[expect(clippy::cast_precision_loss, reason = "amounts to be drawn")]
    let (scale, number) = (most.max(1) as f64, counts.len().max(1) as f64);
    let mut path = format!("M{LEFT} {BOTTOM}");
    for (day, &n) in counts.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "amounts to be drawn")]
        let (height, end) = (up(n as f64 / scale), across((day + 1) as f64 / number));
        let _ = write!(path, "V{height:.1}H{end:.1}");
    }
    let last = first.plus(i64::try_from(counts.len().saturating_sub(1)).unwrap_or(0).saturating_mul(DAY));
    let marks = format!(
        r#"<path class="mark" d="{path}V{BOTTOM}Z"/><path class="grid" d="M{LEFT} {BOTTOM}H{RIGHT}M{LEFT} {TOP}H{RIGHT}"/><text x="{LEFT}" y="{0}">{most}</text><text x="{LEFT}" y="{1}">{2}</text><text x="{RIGHT}" y="{1}" text-anchor="end">{3}</text>"#,
        TOP - 4.0,
        BOTTOM + 15.0,
        first.date(),
        last.date()
    );
    figure(title, HEIGHT, &marks)
}

fn across(share: f64) -> f64 {
    LEFT + (RIGHT - LEFT) * share
}

fn up(share: f64) -> f64 {
    BOTTOM - (BOTTOM - TOP) * share
}

fn figure(title: &str, height: f64, marks: &str) -> String {
    let title = escape(title);
    format!(
        "<figure><figcaption>{title}</figcaption><svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\">{marks}</svg></figure>\n"
    )
}
