//! What the storefront asks for while one watches: its products, its key, and the figures of the panel.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus::core::Collector;
use serde_json::{Value, json};

use super::catalog::{CURRENCY, Product, storefront_json};
use super::pictures;
use crate::app::App;
use crate::event_log::{Position, Reader};
use crate::site::Site;

/// Events the panel shows.
const RECENT: usize = 12;
/// The window of rates and latencies.
const WINDOW: Duration = Duration::from_secs(10);

/// The demo as its pages see it.
#[derive(Debug)]
pub struct Demo {
    config: String,
    products: String,
    pictures: HashMap<String, String>,
    panel: Mutex<Panel>,
}

#[derive(Debug, Default)]
struct Panel {
    document: String,
    samples: VecDeque<Sample>,
    recent: VecDeque<Value>,
    visitors: HashSet<String>,
    events: u64,
    builds: u64,
}

/// The counters at one moment.
#[derive(Debug)]
struct Sample {
    at: Instant,
    events: u64,
    /// Decisions at most as slow as each bucket's bound, in seconds.
    decisions: Vec<(f64, u64)>,
}

impl Demo {
    /// Returns what the pages need, drawn once.
    pub fn new(products: &[Product], key: &str) -> Self {
        Self {
            config: json!({"key": key, "endpoint": "", "currency": CURRENCY}).to_string(),
            products: storefront_json(products),
            pictures: products.iter().map(|p| (p.id.clone(), pictures::svg(p))).collect(),
            panel: Mutex::new(Panel { document: "{}".to_owned(), ..Panel::default() }),
        }
    }

    /// Returns one of the JSON documents below `/demo/`.
    pub fn document(&self, path: &str) -> Option<String> {
        match path {
            "config.json" => Some(self.config.clone()),
            "products.json" => Some(self.products.clone()),
            "live.json" => Some(self.panel().document.clone()),
            _ => None,
        }
    }

    /// Returns the picture of a product.
    pub fn picture(&self, id: &str) -> Option<&str> {
        self.pictures.get(id).map(String::as_str)
    }

    fn panel(&self) -> MutexGuard<'_, Panel> {
        self.panel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews the panel each second, for as long as the demo runs. What it shows is read from the log, as any reader of
    /// the log would see it.
    pub async fn watch(self: Arc<Self>, app: Arc<App>, site: Arc<Site>) {
        let Ok(mut reader) = Reader::open(&app.paths.log, &app.archive, Position::START) else { return };
        let mut build = None;
        loop {
            for committed in reader.by_ref().flatten() {
                let event = &committed.event;
                let mut panel = self.panel();
                panel.events += 1;
                panel.visitors.insert(event.visitor.as_str().to_owned());
                if let Some(line) = event.items.first() {
                    let title = site.catalog.item(line.item.as_str()).and_then(|i| i.title.clone());
                    panel.recent.push_front(json!({"type": event.kind.as_str(), "item_id": line.item.as_str(), "title": title}));
                    panel.recent.truncate(RECENT);
                }
            }
            let serving = site.live.snapshot().build.as_ref().map(|b| (b.id.clone(), b.created_at()));
            if serving.as_ref().map(|(id, _)| id) != build.as_ref() {
                build = serving.as_ref().map(|(id, _)| id.clone());
                self.panel().builds += 1;
            }
            self.renew(&app, &site, serving);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    fn renew(&self, app: &App, site: &Site, serving: Option<(String, i64)>) {
        let mut panel = self.panel();
        let events = panel.events;
        panel.samples.push_back(Sample { at: Instant::now(), events, decisions: decisions(app) });
        while panel.samples.len() > 2 && panel.samples[0].at.elapsed() > WINDOW {
            panel.samples.pop_front();
        }
        let (Some(first), Some(last)) = (panel.samples.front(), panel.samples.back()) else { return };
        let seconds = last.at.duration_since(first.at).as_secs_f64().max(1.0);
        let answered: Vec<(f64, u64)> =
            last.decisions.iter().zip(&first.decisions).map(|(now, then)| (now.0, now.1.saturating_sub(then.1))).collect();
        #[expect(clippy::cast_precision_loss, reason = "counts of a demo")]
        let rate = |n: u64| (n as f64 / seconds * 10.0).round() / 10.0;
        let document = json!({
            "events_total": events,
            "events_per_second": rate(last.events - first.events),
            "decisions_per_second": rate(answered.last().map_or(0, |(_, n)| *n)),
            "decision_p50_us": quantile(&answered, 0.5),
            "decision_p99_us": quantile(&answered, 0.99),
            "build": serving.as_ref().map(|(id, _)| id),
            "build_age_seconds": serving.map(|(_, at)| (app.clock.now().0 - at) / 1_000_000),
            "builds": panel.builds,
            "items": site.catalog.index().len(),
            "visitors": panel.visitors.len(),
            "recent": panel.recent,
        });
        panel.document = document.to_string();
    }
}

/// Returns how many decisions took at most each bound.
fn decisions(app: &App) -> Vec<(f64, u64)> {
    let families = app.metrics.decision_seconds.collect();
    let metric = families.first().and_then(|family| family.get_metric().first().cloned());
    metric.map_or_else(Vec::new, |metric| {
        let histogram = metric.get_histogram();
        let mut buckets: Vec<(f64, u64)> =
            histogram.get_bucket().iter().map(|bucket| (bucket.upper_bound(), bucket.cumulative_count())).collect();
        buckets.push((f64::INFINITY, histogram.get_sample_count()));
        buckets
    })
}

/// Returns the microseconds that so many of the decisions took at most, read off the buckets with a straight line.
fn quantile(cumulative: &[(f64, u64)], q: f64) -> Option<u64> {
    let total = cumulative.last().map(|(_, n)| *n).filter(|n| *n > 0)?;
    #[expect(clippy::cast_precision_loss, reason = "counts of a demo")]
    let wanted = total as f64 * q;
    let mut below = (0.0, 0.0);
    for &(bound, n) in cumulative {
        #[expect(clippy::cast_precision_loss, reason = "counts of a demo")]
        let n = n as f64;
        if n >= wanted && bound.is_finite() {
            let share = if n > below.1 { (wanted - below.1) / (n - below.1) } else { 1.0 };
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a duration between two bounds")]
            return Some(((below.0 + (bound - below.0) * share) * 1e6).round() as u64);
        }
        if bound.is_finite() {
            below = (bound, n);
        }
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the largest bound")]
    Some((below.0 * 1e6) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_lies_between_its_bounds() {
        let buckets = [(0.001, 50), (0.002, 90), (0.004, 100), (f64::INFINITY, 100)];
        assert_eq!(quantile(&buckets, 0.5), Some(1000));
        assert_eq!(quantile(&buckets, 0.7), Some(1500));
        assert_eq!(quantile(&buckets, 0.99), Some(3800));
        assert_eq!(quantile(&[(0.001, 0), (f64::INFINITY, 0)], 0.5), None);
    }
}
