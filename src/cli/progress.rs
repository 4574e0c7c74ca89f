//! How far long work has come: a bar on a terminal, plain lines otherwise.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Shows progress on standard error.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    last: Option<u64>,
}

impl Progress {
    /// Shows a bar that fills up to `length`.
    pub fn bar(length: u64, what: &str) -> Self {
        let style = ProgressStyle::with_template("{msg:<34} {wide_bar} {percent:>3} %  {eta}");
        Self::start(ProgressBar::new(length), style, what)
    }

    /// Shows that work goes on, of unknown length.
    pub fn spinner(what: &str) -> Self {
        let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
        Self::start(ProgressBar::new_spinner(), style, what)
    }

    fn start(bar: ProgressBar, style: Result<ProgressStyle, indicatif::style::TemplateError>, what: &str) -> Self {
        if !std::io::stderr().is_terminal() {
            eprintln!("{what} …");
            return Self { bar: None, last: None };
        }
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar: Some(bar), last: None }
    }

    /// Says what is being done now.
    pub fn stage(&self, what: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(what.to_owned()),
            None => eprintln!("{what} …"),
        }
    }

    /// Moves the bar; without a terminal, a line every quarter.
    pub fn at(&mut self, done: u64, of: u64) {
        match &self.bar {
            Some(bar) => bar.set_position(done),
            None => {
                let quarter = (done * 4).checked_div(of);
                if quarter != self.last && quarter.is_some_and(|q| (1..4).contains(&q)) {
                    eprintln!("{} %", quarter.unwrap_or(0) * 25);
                }
                self.last = quarter;
            }
        }
    }

    /// Takes the bar away.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
