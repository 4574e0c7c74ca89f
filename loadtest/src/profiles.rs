//! Profiles in bulk: every visit of a file again and again, each time by somebody new, as beacons.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use tokio::{task::JoinSet, time::timeout};

use crate::{
    client::{Connection, Target},
    scenario::{Expect, Fillings, mixed, rfc3339},
    verify::{Depth, Fault, Results, verify},
};

/// Events of one beacon, at most: what a browser's key may send.
const EVENTS: usize = 100;
/// Seconds between the pages of a visit.
const PAGE_SECONDS: u64 = 30;
/// How often a beacon is sent again that was refused because the server is busy.
const PATIENCE: u32 = 50;

/// How many profiles are made, and where.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) fillings: Fillings,
    pub(crate) count: u64,
    pub(crate) connections: usize,
    pub(crate) timeout: Duration,
}

/// What was made.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Made {
    pub(crate) profiles: u64,
    pub(crate) events: u64,
    pub(crate) seconds: f64,
}

/// Sends one beacon for each profile, over all connections, and returns when all are acknowledged.
pub(crate) async fn make(plan: Plan) -> Result<Made> {
    let visits = plan.fillings.visits.clone().context("profiles are made from real visits: give a file of them with --visits")?;
    let (plan, next, begin) = (Arc::new(plan), Arc::new(AtomicU64::new(0)), Instant::now());
    let mut tasks = JoinSet::new();
    for _ in 0..plan.connections {
        let (plan, visits, next) = (Arc::clone(&plan), Arc::clone(&visits), Arc::clone(&next));
        tasks.spawn(async move {
            let mut connection = Connection::new(plan.target.clone());
            let mut events = 0;
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= plan.count {
                    return Ok(events);
                }
                let visit = visits.whole(n);
                let visit = &visit[..visit.len().min(EVENTS)];
                send(&plan, &mut connection, &beacon(&plan, n, visit), visit.len()).await?;
                events += visit.len() as u64;
            }
        });
    }
    let mut events = 0;
    while let Some(sent) = tasks.join_next().await {
        let sent: Result<u64> = sent.context("a connection's task ended")?;
        events += sent?;
    }
    Ok(Made { profiles: plan.count, events, seconds: begin.elapsed().as_secs_f64() })
}

async fn send(plan: &Plan, connection: &mut Connection, request: &[u8], events: usize) -> Result<()> {
    for _ in 0..PATIENCE {
        let status = timeout(plan.timeout, connection.send(request)).await.context("no answer in time")??;
        match verify(Depth::Quick, Expect::Results, events, status, connection.body(), &mut Results::new()) {
            Ok(()) => return Ok(()),
            Err(Fault::Status(429 | 503)) => tokio::time::sleep(Duration::from_millis(100)).await,
            Err(fault) => bail!("{fault}: {}", String::from_utf8_lossy(connection.body())),
        }
    }
    bail!("the server stays too busy")
}

/// Writes the beacon of profile `n`: ids as long as a browser's, one view for each page.
fn beacon(plan: &Plan, n: u64, visit: &[String]) -> Vec<u8> {
    let run = plan.fillings.run;
    let mut events = String::new();
    for (index, id) in (0_u64..).zip(visit) {
        let age = (visit.len() as u64 - index) * PAGE_SECONDS * 1_000;
        let _ = write!(
            events,
            "{}{{\"id\":\"{run:016x}-p{n}-{index}\",\"type\":\"view_item\",\"age_ms\":{age},\"items\":[{{\"item_id\":{id}}}]}}",
            if index == 0 { "" } else { "," },
        );
    }
    let body = format!(
        "{{\"v\":1,\"key\":{},\"visitor_id\":\"{:016x}{:016x}\",\"session_id\":\"{run:016x}-p{n}\",\"seq\":0,\"sent_at\":\"{}\",\
         \"consent\":{{\"analytics\":true,\"personalization\":true}},\"events\":[{events}]}}",
        serde_json::Value::from(plan.fillings.key.as_str()),
        mixed(run ^ n),
        mixed(n),
        rfc3339(SystemTime::now()),
    );
    format!(
        "POST {}/v1/events HTTP/1.1\r\nhost: {}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{body}",
        plan.target.base,
        plan.target.authority(),
        body.len(),
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::visits::Visits;

    #[test]
    fn a_beacon_is_one_visit_by_somebody_new() {
        let visits = Visits::parse("a b\nc").expect("visits");
        let fillings =
            Fillings { key: "pk_1".to_owned(), items: Vec::new(), visits: None, hot: 0.0, secret: None, seed: 1, run: 5 };
        let target = "http://127.0.0.1:1".parse().expect("a target");
        let plan = Plan { target, fillings, count: 3, connections: 1, timeout: Duration::from_secs(1) };
        let body = |n| {
            let text = String::from_utf8(beacon(&plan, n, visits.whole(n))).expect("text");
            let (head, body) = text.split_once("\r\n\r\n").expect("a head");
            assert!(head.ends_with(&format!("content-length: {}", body.len())));
            serde_json::from_str::<Value>(body).expect("JSON")
        };
        let bodies = [body(0), body(1), body(2)];
        let items = |body: &Value| body["events"].as_array().map(|events| events.len());
        assert_eq!(bodies.each_ref().map(items), [Some(2), Some(1), Some(2)]);
        assert_eq!(bodies[2]["events"][1]["items"][0]["item_id"], "b");
        assert_eq!(bodies[0]["visitor_id"].as_str().map(str::len), Some(32));
        assert_ne!(bodies[0]["visitor_id"], bodies[2]["visitor_id"]);
        assert_ne!(bodies[0]["events"][0]["id"], bodies[2]["events"][0]["id"]);
    }
}
