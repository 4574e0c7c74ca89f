//! Plots as SVG: lines and stacked bars between two axes, coloured by classes that the page defines for light and dark.

use std::fmt::Write as _;

use super::page::escaped;

// Small enough that the text is still legible where a phone shows the whole width.
const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 54.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 18.0;
const BOTTOM: f64 = 40.0;

/// How numbers become places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// From 0.
    Linear,
    Log,
    /// Quantiles by how far they are from 1: 0.9, 0.99 and 0.999 have the same distance.
    Nines,
}

/// Some points joined, where they follow each other without a gap.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) class: &'static str,
    /// Ordinates that are `None` interrupt the line.
    pub(super) points: Vec<(f64, Option<f64>)>,
}

/// Parts that stand on each other at one place.
#[derive(Debug)]
pub(super) struct Bar {
    pub(super) at: f64,
    pub(super) parts: Vec<(&'static str, f64)>,
}

/// A plot.
#[derive(Debug)]
pub(super) struct Plot<'a> {
    /// What it shows, for those who cannot see it.
    pub(super) about: &'a str,
    pub(super) x: (Scale, &'a str),
    pub(super) y: (Scale, &'a str),
    pub(super) lines: Vec<Line>,
    pub(super) bars: Vec<Bar>,
    /// Vertical lines with a word.
    pub(super) marks: Vec<(f64, String)>,
}

impl Plot<'_> {
    /// Draws it.
    pub(super) fn svg(&self) -> String {
        let tops = self.bars.iter().map(|bar| bar.parts.iter().map(|(_, height)| height).sum::<f64>());
        let ys: Vec<f64> = self.points().filter_map(|(_, y)| y).chain(tops).collect();
        let bars = self.bars.iter().flat_map(|bar| [bar.at, bar.at + 1.0]);
        let xs: Vec<f64> = self.points().map(|(x, _)| x).chain(bars).collect();
        let x = Axis::new(self.x.0, &xs, LEFT, WIDTH - RIGHT);
        let y = Axis::new(self.y.0, &ys, HEIGHT - BOTTOM, TOP);
        let mut out = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">", escaped(self.about));
        self.draw_axes(&x, &y, &mut out);
        for bar in &self.bars {
            let (mut low, left) = (0.0, x.place(bar.at));
            let width = (x.place(bar.at + 1.0) - left).max(1.0);
            for (class, height) in &bar.parts {
                let (bottom, top) = (y.place(low), y.place(low + height));
                let _ = write!(
                    out,
                    "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{:.1}\"/>",
                    bottom - top
                );
                low += height;
            }
        }
        for (index, (at, word)) in self.marks.iter().enumerate() {
            let place = x.place(*at);
            let (bottom, height) = (HEIGHT - BOTTOM, TOP + 12.0 * (index % 3) as f64);
            let _ = write!(
                out,
                "<path class=\"mark\" d=\"M{place:.1} {TOP}V{bottom}\"/><text class=\"mark\" x=\"{:.1}\" y=\"{height}\">{}</text>",
                place + 4.0,
                escaped(word),
            );
        }
        for line in &self.lines {
            let mut path = String::new();
            let mut is_down = false;
            for (at, height) in &line.points {
                if let Some(height) = height {
                    let command = if is_down { 'L' } else { 'M' };
                    let _ = write!(path, "{command}{:.1} {:.1}", x.place(*at), y.place(*height));
                }
                is_down = height.is_some();
            }
            let _ = write!(out, "<path class=\"line {}\" d=\"{path}\"/>", line.class);
        }
        out.push_str("</svg>");
        out
    }

    fn points(&self) -> impl Iterator<Item = (f64, Option<f64>)> + '_ {
        self.lines.iter().flat_map(|line| line.points.iter().copied())
    }

    fn draw_axes(&self, x: &Axis, y: &Axis, out: &mut String) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for (at, label) in y.ticks() {
            let place = y.place(at);
            let _ = write!(
                out,
                "<path class=\"grid\" d=\"M{LEFT} {place:.1}H{right}\"/><text class=\"y\" x=\"{}\" y=\"{:.1}\">{label}</text>",
                LEFT - 6.0,
                place + 4.0,
            );
        }
        for (at, label) in x.ticks() {
            let place = x.place(at);
            let _ = write!(
                out,
                "<path class=\"grid\" d=\"M{place:.1} {TOP}V{bottom}\"/><text class=\"x\" x=\"{place:.1}\" y=\"{}\">{label}</text>",
                bottom + 16.0,
            );
        }
        let _ = write!(
            out,
            "<text class=\"x\" x=\"{}\" y=\"{}\">{}</text><text class=\"unit\" x=\"4\" y=\"11\">{}</text>",
            (LEFT + right) / 2.0,
            HEIGHT - 5.0,
            escaped(self.x.1),
            escaped(self.y.1),
        );
    }
}

/// One direction: which numbers lie between which places.
#[derive(Debug)]
struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn new(scale: Scale, values: &[f64], from: f64, to: f64) -> Self {
        let least = values.iter().copied().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(0.0, f64::max);
        let (low, high) = match scale {
            Scale::Linear => (0.0, if most > 0.0 { most } else { 1.0 }),
            Scale::Log if least.is_finite() => (round_down(least), round_up(most.max(least * 1.01))),
            Scale::Log => (1.0, 10.0),
            Scale::Nines => (0.0, most.clamp(0.9, 1.0 - 1e-9)),
        };
        Self { scale, low, high, from, to }
    }

    /// Returns the part of the way at which a number lies.
    fn part(&self, value: f64) -> f64 {
        let nines = |quantile: f64| -(1.0 - quantile).max(1e-9).log10();
        match self.scale {
            Scale::Linear => value / self.high,
            Scale::Log => (value.max(self.low) / self.low).log10() / (self.high / self.low).log10(),
            Scale::Nines => nines(value) / nines(self.high),
        }
    }

    fn place(&self, value: f64) -> f64 {
        self.from + (self.to - self.from) * self.part(value).clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Linear => {
                let step = round_up(self.high / 6.0);
                (0..=8).map(|n| f64::from(n) * step).filter(|at| *at <= self.high * 1.001).map(|at| (at, short(at))).collect()
            }
            Scale::Log => {
                let decades = (self.high / self.low).log10();
                let steps: &[f64] = if decades > 3.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
                let first = self.low.log10().floor() as i32;
                let all = (first..first + 12).flat_map(|decade| steps.iter().map(move |step| step * 10_f64.powi(decade)));
                let inside = all.filter(|at| *at >= self.low * 0.999 && *at <= self.high * 1.001);
                inside.map(|at| (at, short(at))).collect()
            }
            Scale::Nines => {
                let all = [(0.0, "0"), (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (0.9999, "99.99 %")];
                let inside = all.into_iter().chain([(0.99999, "99.999 %")]).filter(|(at, _)| *at <= self.high + 1e-6);
                inside.map(|(at, label)| (at, label.to_owned())).collect()
            }
        }
    }
}

/// Returns the next number of the row 1, 2, 5, 10, … that is not smaller.
fn round_up(number: f64) -> f64 {
    let decade = 10_f64.powf(number.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|step| step * decade).into_iter().find(|step| *step >= number * 0.999_999).unwrap_or(number)
}

/// Returns the last number of that row that is not larger.
fn round_down(number: f64) -> f64 {
    let decade = 10_f64.powf(number.log10().floor());
    [5.0, 2.0, 1.0].map(|step| step * decade).into_iter().find(|step| *step <= number * 1.000_001).unwrap_or(number)
}

/// Writes a number of an axis: no more digits than it has.
fn short(number: f64) -> String {
    if number >= 1_000_000.0 {
        format!("{}M", number / 1_000_000.0)
    } else if number >= 10_000.0 {
        format!("{}k", number / 1_000.0)
    } else {
        // A product such as 3 × 0.2 is not exact.
        format!("{}", (number * 1e6).round() / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_place_what_they_name() {
        let log = Axis::new(Scale::Log, &[0.3, 40.0], 200.0, 0.0);
        assert_eq!((log.low, log.high), (0.2, 50.0));
        assert_eq!((log.place(0.2), log.place(50.0)), (200.0, 0.0));
        let labels: Vec<String> = log.ticks().into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, ["0.2", "0.5", "1", "2", "5", "10", "20", "50"]);

        let nines = Axis::new(Scale::Nines, &[0.0, 0.999], 0.0, 300.0);
        let near = |place: f64, expected: f64| assert!((place - expected).abs() < 1e-6, "{place}");
        near(nines.place(0.9), 100.0);
        near(nines.place(0.99), 200.0);

        let linear = Axis::new(Scale::Linear, &[0.0, 60.0], 0.0, 60.0);
        let labels: Vec<String> = linear.ticks().into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, ["0", "10", "20", "30", "40", "50", "60"]);
        for empty in [Scale::Linear, Scale::Log, Scale::Nines] {
            assert!(Axis::new(empty, &[], 0.0, 1.0).place(0.5).is_finite());
        }
    }

    #[test]
    fn gaps_interrupt_a_line_and_words_are_escaped() {
        let line = Line { class: "c0", points: vec![(0.0, Some(1.0)), (1.0, None), (2.0, Some(1.0)), (3.0, Some(2.0))] };
        let marks = vec![(1.0, "a<b".to_owned())];
        let (x, y) = ((Scale::Linear, "seconds"), (Scale::Log, "ms"));
        let svg = Plot { about: "x", x, y, lines: vec![line], bars: Vec::new(), marks }.svg();
        let path = svg.split("class=\"line c0\" d=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a path");
        assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 1), "{path}");
        assert!(svg.contains("a&lt;b") && !svg.contains("NaN"), "{svg}");
    }
}
