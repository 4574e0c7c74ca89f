//! Sharing fresh facts between nodes: each sends what its log says, and takes in what the others send.
//!
//! Neither is in anybody's way: a Redis that is down leaves the sender behind in its own log, from which it goes on when
//! it can, and the receiver with what it knows. A node that was away reads on where it was; one that starts anew reads
//! all that the streams keep.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::fact::Fact;
use super::follow::{Log, Outgoing, count};
use super::redis::{FactStreams, Received};
use crate::event::SiteId;
use crate::metrics::Metrics;
use crate::site::Site;
use crate::store_engine::StoreError;

/// How often the log is looked at.
const EVERY: Duration = Duration::from_millis(100);
/// How long to wait before Redis is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Says once that Redis cannot be reached, and once that it can again.
#[derive(Debug, Default)]
struct Reachable {
    missing: bool,
}

impl Reachable {
    fn failed(&mut self, error: &StoreError, what: &str) {
        if !std::mem::replace(&mut self.missing, true) {
            warn!(%error, "{what}; it is tried again");
        }
    }

    fn worked(&mut self, what: &str) {
        if std::mem::take(&mut self.missing) {
            info!("{what} again");
        }
    }
}

/// Sends what this node's log says, for ever.
pub async fn send(streams: FactStreams, log: Log, metrics: Metrics) {
    let mut reachable = Reachable::default();
    let mut outgoing = Outgoing::new(log);
    let node = outgoing.node();
    let mut shared = None;
    loop {
        let from = match shared {
            Some(from) => from,
            None => match streams.shared(node).await {
                Ok(from) => *shared.insert(from),
                Err(error) => {
                    reachable.failed(&error, "Other nodes cannot be told what happens here");
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            },
        };
        let counted = metrics.clone();
        let read = tokio::task::spawn_blocking(move || {
            let batch = outgoing.read(from, &counted);
            (outgoing, batch)
        });
        // The runtime ends before the task does: the process is stopping.
        let Ok((back, batch)) = read.await else { return };
        outgoing = back;
        match batch {
            Ok(Some(batch)) => {
                while let Err(error) = streams.append(node, &batch).await {
                    reachable.failed(&error, "Other nodes cannot be told what happens here");
                    tokio::time::sleep(RETRY).await;
                }
                reachable.worked("Other nodes are told what happens here");
            }
            Ok(None) => tokio::time::sleep(EVERY).await,
            Err(error) => {
                warn!(%error, "The event log cannot be read to share it; it is tried again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Takes in what other nodes send, for ever. `sites` names the sites there are by now.
pub async fn receive(streams: FactStreams, node: u64, metrics: Metrics, sites: impl Fn() -> Vec<Arc<Site>>) {
    let mut reachable = Reachable::default();
    let mut after: BTreeMap<SiteId, (u64, String)> = BTreeMap::new();
    loop {
        let sites = sites();
        for site in &sites {
            let emptied = site.live.emptied();
            let place = after.entry(site.id.clone()).or_insert_with(|| (emptied, "0".to_owned()));
            if place.0 != emptied {
                // It has forgotten what it was told.
                *place = (emptied, "0".to_owned());
            }
        }
        let places = after.iter().map(|(site, (_, last))| (site.clone(), last.clone())).collect();
        let received = match streams.read(&places).await {
            Ok(received) => received,
            Err(error) => {
                reachable.failed(&error, "What happens on other nodes cannot be read");
                tokio::time::sleep(RETRY).await;
                continue;
            }
        };
        reachable.worked("What happens on other nodes is read");
        for Received { site, facts, last } in received {
            if let Some(place) = after.get_mut(&site) {
                place.1 = last;
            }
            let Some(site) = sites.iter().find(|s| s.id == site).cloned() else { continue };
            let facts: Vec<Fact> = facts.into_iter().filter(|fact| fact.node != node).collect();
            if facts.is_empty() {
                continue;
            }
            let learnt = tokio::task::spawn_blocking({
                let site = site.clone();
                move || (facts.len(), site.live.learn(&facts))
            });
            let Ok((taken, left_out)) = learnt.await else { return };
            count(&metrics, &site.id, "other_nodes", taken, left_out);
        }
    }
}
