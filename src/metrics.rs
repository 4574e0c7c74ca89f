//! What is counted. A metric's doc comment is its help text.

use prometheus::{Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

macro_rules! metrics {
    ($($(#[doc = $help:literal])* $name:ident: $kind:ident $($labels:expr)?),* $(,)?) => {
        /// Every metric of the service, named `rapport_…`.
        #[derive(Debug, Clone)]
        pub struct Metrics {
            registry: Registry,
            $($(#[doc = $help])* pub $name: $kind,)*
        }

        impl Metrics {
            /// Registers all metrics with a registry of their own, so that tests do not share counts.
            pub fn new() -> Self {
                let registry = Registry::new();
                $(let $name: $kind = register(&registry, stringify!($name), concat!($($help),*), metrics!(@labels $($labels)?));)*
                Self { registry, $($name,)* }
            }
        }
    };
    (@labels) => { &[] };
    (@labels $labels:expr) => { &$labels };
}

metrics! {
    /// Events that came in, each time they were sent. By site this is the sum of `rapport_events_total`.
    events_received: IntCounterVec ["site"],
    /// Events by the one outcome each had: ok, duplicate, drop, retry, and why.
    events: IntCounterVec ["site", "result", "code"],
    /// Batches refused as a whole, with events nobody has counted, by site (empty: not known whose) and the problem's code.
    batches_refused: IntCounterVec ["site", "code"],
    /// Events their senders say they gave up, by reason: `overflow`, `expired`, `rejected`, `too_large`, `invalid`, `other`.
    events_discarded: IntCounterVec ["site", "reason"],
    /// Numbered events kept, counted when their session has ended.
    events_sequenced: IntCounterVec ["site"],
    /// Numbers that never arrived though later ones of their session did, without those the sender gave up.
    events_missing: IntCounterVec ["site"],
    /// Events answered `retry` because too much waited for the disk, by lane: `browse` is shed first, `binding` last.
    events_shed: IntCounterVec ["lane"],
    /// Times that sealing the log, or the upkeep of its archive, failed. It is tried again; segments wait in the data directory.
    archive_failures: IntCounter,
    /// Refused events: `kept` to be sent again; `no_consent` or from a `bot`, not kept; `full` for the day or for now; `failed` to be written.
    dead_letters: IntCounterVec ["result"],
    /// Event batches received.
    batches: IntCounter,
    /// Seconds from reading a batch to its answer, including the sync to disk.
    beacon_seconds: Histogram,
    /// Seconds a decision took, without HTTP.
    decision_seconds: Histogram,
    /// Placements answered, by placement and by the rung of the ladder that served them.
    placements_served: IntCounterVec ["placement", "served_by"],
    /// Items that could not be bought and yet were about to be answered. Must stay 0.
    unavailable_shown: IntCounter,
    /// Items left out of an answer because they cannot be bought or must not be shown.
    unavailable_withheld: IntCounter,
    /// Decisions answered without a profile because its store did not answer.
    profiles_unavailable: IntCounter,
    /// Events kept although Redis could not say whether another node keeps them too. Should stay 0.
    ids_unshared: IntCounter,
    /// 1 while Redis is not asked because it did not answer the last times, else 0.
    store_cut: IntGauge,
    /// Events that are in the log and not yet in their profile.
    fold_backlog: IntGauge,
    /// Requests answered with a problem, by its code.
    problems: IntCounterVec ["code"],
    /// Builds that were loaded into service, by site.
    builds_loaded: IntCounterVec ["site"],
    /// Builds that were refused because they were damaged, by site.
    builds_refused: IntCounterVec ["site"],
    /// Purchases and views counted on top of a build, by site and by whose log they come from: `own`, `other_nodes`.
    fresh_facts: IntCounterVec ["site", "from"],
    /// Interactions not counted on top of a build, by site and why: `visitor_cap`, `no_room`. The next build counts the latter.
    fresh_left_out: IntCounterVec ["site", "why"],
    /// Bytes of this node's log that other nodes were not told of, because Redis could not be reached for too long.
    fresh_unshared_bytes: IntCounter,
    /// Requests refused by the rate limit.
    rate_limited: IntCounter,
}

impl Metrics {
    /// Returns all metrics in the Prometheus text format.
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        match TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            Ok(()) => String::from_utf8_lossy(&text).into_owned(),
            Err(error) => format!("# metrics could not be encoded: {error}\n"),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

trait Metric: Sized + Clone + prometheus::core::Collector + 'static {
    fn create(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<Self>;
}

impl Metric for IntCounter {
    fn create(name: &str, help: &str, _: &[&str]) -> prometheus::Result<Self> {
        Self::new(name, help)
    }
}

impl Metric for IntGauge {
    fn create(name: &str, help: &str, _: &[&str]) -> prometheus::Result<Self> {
        Self::new(name, help)
    }
}

impl Metric for IntCounterVec {
    fn create(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<Self> {
        Self::new(Opts::new(name, help), labels)
    }
}

impl Metric for Histogram {
    fn create(name: &str, help: &str, _: &[&str]) -> prometheus::Result<Self> {
        // From 10 µs, what a cached decision takes, to 2.6 s, when a disk hangs; each step doubles.
        let buckets = prometheus::exponential_buckets(10e-6, 2.0, 19)?;
        Self::with_opts(HistogramOpts::new(name, help).buckets(buckets))
    }
}

/// Names are compile-time constants and each is used once, so registering cannot fail; if it ever did, the metric
/// would count without being shown.
#[expect(clippy::expect_used, reason = "only a name in this file could be wrong, and the test below reads them all")]
fn register<M: Metric>(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> M {
    let suffix = if std::any::type_name::<M>().contains("Counter") { "_total" } else { "" };
    let metric = M::create(&format!("rapport_{name}{suffix}"), help.trim(), labels).expect("a valid metric");
    if let Err(error) = registry.register(Box::new(metric.clone())) {
        tracing::error!(%error, "Metric {name} is not shown");
    }
    metric
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_that_must_stay_0_is_shown_from_the_start() {
        let text = Metrics::new().render();
        assert!(text.contains("rapport_unavailable_shown_total 0"), "{text}");
    }
}
