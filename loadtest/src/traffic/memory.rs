//! The resident memory of the target while it is played to.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use serde::Serialize;

/// How much memory the target held, and when.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Memory {
    /// Seconds and MiB.
    pub(crate) points: Vec<(f64, f64)>,
    /// The medians of the first third of the time and of the last.
    pub(crate) first_third_mib: f64,
    pub(crate) last_third_mib: f64,
}

/// Looks at a process once a second until told to stop.
#[derive(Debug)]
pub(super) struct Watch {
    done: Arc<AtomicBool>,
    thread: JoinHandle<Vec<(f64, f64)>>,
}

impl Watch {
    /// Begins to look; fails where there is no such process.
    pub(super) fn start(pid: u32) -> Result<Self> {
        resident_mib(pid)?;
        let done = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&done);
        let thread = thread::Builder::new().name("memory".to_owned()).spawn(move || {
            let begin = Instant::now();
            let mut points = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                // A process that is gone leaves a gap; the requests tell what that means.
                if let Ok(mib) = resident_mib(pid) {
                    points.push((begin.elapsed().as_secs_f64(), mib));
                }
                thread::park_timeout(Duration::from_secs(1));
            }
            points
        })?;
        Ok(Self { done, thread })
    }

    /// Stops and returns what was seen.
    pub(super) fn stop(self) -> Result<Memory> {
        self.done.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        let points = self.thread.join().map_err(|_| anyhow!("the memory's thread ended"))?;
        Ok(Memory::of(points))
    }
}

impl Memory {
    fn of(points: Vec<(f64, f64)>) -> Self {
        let third = points.len().div_ceil(3);
        let median = |points: &[(f64, f64)]| {
            let mut sizes: Vec<f64> = points.iter().map(|(_, mib)| *mib).collect();
            sizes.sort_by(f64::total_cmp);
            sizes.get(sizes.len() / 2).copied().unwrap_or_default()
        };
        let (first_third_mib, last_third_mib) = (median(&points[..third]), median(&points[points.len() - third..]));
        Self { points, first_third_mib, last_third_mib }
    }

    /// Says how it went in a sentence.
    pub(super) fn sentence(&self) -> String {
        format!(
            "Resident memory of the target: {:.0} MiB in the first third of the time, {:.0} MiB in the last ({:.2} times).",
            self.first_third_mib,
            self.last_third_mib,
            self.last_third_mib / self.first_third_mib.max(0.1),
        )
    }
}

fn resident_mib(pid: u32) -> Result<f64> {
    let file = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&file).with_context(|| format!("cannot read {file}; is --pid the server's?"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")).with_context(|| format!("{file} is not as proc(5) says"))?;
    Ok(kib.trim().parse::<f64>().with_context(|| format!("{file} is not as proc(5) says"))? / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirds_are_medians_so_that_a_spike_is_no_growth() {
        let sizes = [10.0, 10.0, 90.0, 11.0, 11.0, 11.0, 12.0, 12.0, 80.0];
        let memory = Memory::of((0..9).map(|n| (f64::from(n), sizes[n as usize])).collect());
        assert_eq!((memory.first_third_mib, memory.last_third_mib), (10.0, 12.0));
        assert!(memory.sentence().contains("(1.20 times)"), "{}", memory.sentence());
        assert_eq!(Memory::of(Vec::new()).last_third_mib, 0.0);
    }

    #[test]
    fn a_process_is_watched_until_told() {
        let memory = Watch::start(std::process::id()).and_then(Watch::stop).expect("watched");
        assert!(memory.points.iter().all(|(_, mib)| *mib > 0.5));
        assert!(Watch::start(4_194_305).is_err(), "no process has that number");
    }
}
