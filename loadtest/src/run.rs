//! One open-loop run: connections pull intended starts from a shared schedule.
//!
//! Latency counts from the *intended* start. When every connection is still waiting for an answer,
//! the next request starts late and its wait is part of its latency, as it is for a shopper.

pub(crate) mod figures;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, anyhow};
use tokio::{sync::Semaphore, task::JoinSet, time::timeout};

pub(crate) use self::figures::{Figures, Measured, Sample};
use self::figures::{nanos, new_histogram};
use crate::{
    client::{Connection, Target},
    scenario::{Cast, Template},
    schedule::Schedule,
    verify::{Depth, Fault, FaultKind, Results, verify},
};

/// How long after the last intended start late requests may still begin.
const GRACE: Duration = Duration::from_secs(2);

/// What to send, where, and when.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) target: Target,
    pub(crate) templates: Vec<Arc<Template>>,
    /// Who asks what at each start; without it, the templates and their visitors take turns.
    pub(crate) cast: Option<Arc<Cast>>,
    /// Keep every request's sample.
    pub(crate) samples: bool,
    pub(crate) schedule: Arc<Schedule>,
    pub(crate) connections: usize,
    pub(crate) timeout: Duration,
    pub(crate) depth: Depth,
    /// The number of the first request, so that no two runs send the same event ids.
    pub(crate) first: u64,
}

/// Sends one schedule's requests and returns what was measured.
pub(crate) async fn run(load: Load) -> Result<Measured> {
    run_noting_begin(load, |_| {}).await
}

/// Does the same, and tells when the schedule begins, a moment before it does.
pub(crate) async fn run_noting_begin(load: Load, begins: impl FnOnce(Instant)) -> Result<Measured> {
    let load = Arc::new(load);
    let mut opening = JoinSet::new();
    for _ in 0..load.connections {
        let mut connection = Connection::new(load.target.clone());
        opening.spawn(async move { connection.open().await.map(|()| connection) });
    }
    let mut connections = Vec::with_capacity(load.connections);
    while let Some(opened) = opening.join_next().await {
        connections.push(opened.context("a connection's task ended")??);
    }

    let released = Arc::new(Semaphore::new(0));
    let next = Arc::new(AtomicUsize::new(0));
    let begin = Instant::now() + Duration::from_millis(20);
    begins(begin);
    let mut tasks = JoinSet::new();
    for connection in connections {
        let worker = Worker {
            load: Arc::clone(&load),
            released: Arc::clone(&released),
            next: Arc::clone(&next),
            begin,
            connection,
            measured: Measured::new(&load.schedule),
        };
        tasks.spawn(worker.work());
    }
    let pacer = {
        let (load, released) = (Arc::clone(&load), Arc::clone(&released));
        thread::Builder::new().name("pacer".to_owned()).spawn(move || pace(&load, &released, begin))?
    };

    let mut measured = Measured::new(&load.schedule);
    while let Some(part) = tasks.join_next().await {
        measured.add(&part.context("a connection's task ended")?);
    }
    measured.lag = pacer.join().map_err(|_| anyhow!("the pacer's thread ended"))?;
    Ok(measured)
}

/// Releases each request at its intended start and returns how late it was in doing so.
///
/// A thread of its own: the runtime's timers have a grain of a millisecond, a sleeping thread
/// wakes within a tenth of that.
fn pace(load: &Load, released: &Semaphore, begin: Instant) -> hdrhistogram::Histogram<u64> {
    let mut lag = new_histogram();
    let mut due = 0;
    for n in 0..load.schedule.len() {
        let Some(start) = load.schedule.start(n) else {
            break;
        };
        let intended = begin + start;
        let mut now = Instant::now();
        if now < intended {
            released.add_permits(due);
            due = 0;
            thread::sleep(intended - now);
            now = Instant::now();
        }
        due += 1;
        lag.saturating_record(nanos(now.saturating_duration_since(intended)));
    }
    // One more for each connection, to find the schedule at its end.
    released.add_permits(due + load.connections);
    lag
}

/// One connection and what it measured.
struct Worker {
    load: Arc<Load>,
    released: Arc<Semaphore>,
    next: Arc<AtomicUsize>,
    begin: Instant,
    connection: Connection,
    measured: Measured,
}

impl Worker {
    async fn work(mut self) -> Measured {
        let schedule = Arc::clone(&self.load.schedule);
        let window = self.begin + schedule.warmup()..self.begin + schedule.end();
        let cutoff = window.end + GRACE;
        let (mut scratch, mut request) = (Vec::new(), Vec::new());
        loop {
            match self.released.acquire().await {
                Ok(permit) => permit.forget(),
                Err(_) => return self.measured,
            }
            let slot = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(start) = schedule.start(slot) else {
                return self.measured;
            };
            let (intended, counts) = (self.begin + start, schedule.is_measured(start));
            let sent = Instant::now();
            if sent > cutoff {
                if counts {
                    self.measured.unsent(sent - intended);
                    self.keep(slot, sent - intended, Some(FaultKind::Unsent));
                }
                continue;
            }
            let number = self.load.first + slot as u64;
            let turn = self.load.cast.as_ref().and_then(|cast| cast.turn(slot));
            let templates = &self.load.templates;
            let template = Arc::clone(&templates[turn.map_or(slot % templates.len(), |turn| turn.template)]);
            let who = turn.map_or_else(|| template.in_turn(number), |turn| turn.who);
            template.render_for(number, who, SystemTime::now(), &mut scratch, &mut request);
            let verdict = self.exchange(&template, &request).await;
            let done = Instant::now();
            if verdict.is_ok() && window.contains(&done) {
                self.measured.completed_in_window += 1;
            }
            if counts {
                self.keep(slot, done - intended, verdict.as_ref().err().map(Fault::kind));
                self.measured.record(done - intended, done - sent, verdict);
            }
        }
    }

    fn keep(&mut self, slot: usize, latency: Duration, fault: Option<FaultKind>) {
        if self.load.samples {
            self.measured.samples.push(Sample::new(slot, latency, fault));
        }
    }

    async fn exchange(&mut self, template: &Template, request: &[u8]) -> Result<Results, Fault> {
        match timeout(self.load.timeout, self.connection.send(request)).await {
            Err(_) => {
                self.connection.abandon();
                Err(Fault::Timeout)
            }
            Ok(Err(error)) => Err(Fault::Transport(format!("{error:#}"))),
            Ok(Ok(status)) => {
                let mut results = Results::new();
                let body = self.connection.body();
                let (expect, events) = (template.expect, template.events);
                verify(self.load.depth, expect, events, status, body, &mut results)
                    .map_err(|fault| with_name(fault, &template.name))
                    .map(|()| results)
            }
        }
    }
}

fn with_name(fault: Fault, name: &str) -> Fault {
    match fault {
        Fault::Shape(what) => Fault::Shape(format!("{name}: {what}")),
        other @ (Fault::Status(_) | Fault::Timeout | Fault::Transport(_) | Fault::Unacknowledged { .. }) => other,
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::{
        floor::{self, Answer, Floor, Stall, Work},
        scenario::{Fillings, Scenario},
        schedule::Arrivals,
    };

    const MILLI: Duration = Duration::from_millis(1);

    fn floor(stall: Option<Stall>) -> SocketAddr {
        let (tell, told) = std::sync::mpsc::channel();
        let answer = Answer { content_type: "application/json".to_owned(), body: vec![b'x'; 500] };
        let floor = Floor { bind: "127.0.0.1:0".to_owned(), workers: 1, answers: vec![answer], work: Work::Nothing, stall };
        thread::spawn(move || floor::serve(floor, |address| tell.send(address).expect("heard")));
        told.recv().expect("the floor stands")
    }

    fn load(address: SocketAddr, schedule: Schedule, method: &str) -> Load {
        let target: Target = format!("http://{address}").parse().expect("a target");
        let scenario = format!(
            r#"{{"name":"t","method":"{method}","path":"/floor?n={{n}}","rates":[1],"duration_seconds":1,"connections":1,"body":{}}}"#,
            if method == "POST" { r#"{"id":"{event_id}"}"# } else { "null" },
        );
        let scenario = Scenario::parse(&scenario).expect("a scenario");
        let fillings = Fillings { key: String::new(), items: Vec::new(), visits: None, hot: 0.0, secret: None, seed: 1, run: 1 };
        let template = Template::new(&scenario, &target, &fillings).expect("compiles");
        Load {
            target,
            templates: vec![Arc::new(template)],
            cast: None,
            samples: false,
            schedule: Arc::new(schedule),
            connections: 4,
            timeout: Duration::from_secs(5),
            depth: Depth::Quick,
            first: 0,
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn every_request_of_the_schedule_is_sent_and_answered() {
        for method in ["GET", "POST"] {
            let schedule = Schedule::new(500.0, 200 * MILLI, 1000 * MILLI, Arrivals::Constant);
            let measured = run(load(floor(None), schedule, method)).await.expect("runs");
            let figures = measured.figures();
            assert_eq!((figures.requests, figures.errors), (500, 0), "{figures:?}");
            assert!((490.0..=510.0).contains(&figures.achieved_per_second), "{figures:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_stall_shows_in_the_latency_of_all_who_came_during_it() {
        let stall = Stall { after: 300, length: 200 * MILLI };
        let schedule = Schedule::new(1000.0, 100 * MILLI, 1000 * MILLI, Arrivals::Constant);
        let measured = run(load(floor(Some(stall)), schedule, "GET")).await.expect("runs");
        let figures = measured.figures();
        assert_eq!(figures.errors, 0, "{figures:?}");
        // About 200 of 1,000 requests were meant to start during the stall and waited for it.
        // A closed loop would have seen 4, one a connection: 0.4 %, nothing in the p99.
        assert!(figures.latency.p99_ms > 150.0, "{figures:?}");
        let late = measured.latency.len() - measured.latency.count_between(0, 50_000_000);
        assert!((100..400).contains(&late), "{late} were late");
        let slow = measured.service.len() - measured.service.count_between(0, 50_000_000);
        assert!(slow < 40, "{slow} took long once sent");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_could_not_be_sent_counts_as_late_and_as_an_error() {
        let stall = Stall { after: 20, length: 4000 * MILLI };
        let schedule = Schedule::new(100.0, Duration::ZERO, 1000 * MILLI, Arrivals::Constant);
        let measured = run(load(floor(Some(stall)), schedule, "GET")).await.expect("runs");
        let figures = measured.figures();
        assert_eq!(figures.requests, 100);
        assert!(figures.tally.unsent > 50, "{figures:?}");
        assert!(figures.latency.p99_ms > 2000.0, "{figures:?}");
        assert!(!measured.sustained(Duration::from_secs(60)));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn nobody_there_is_an_error_at_once() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let schedule = Schedule::new(1.0, Duration::ZERO, MILLI, Arrivals::Constant);
        let error = run(load(address, schedule, "GET")).await.expect_err("nobody");
        assert!(format!("{error:#}").contains("cannot connect"), "{error:#}");
    }
}
