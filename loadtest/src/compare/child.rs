use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{self, Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result};

use crate::{client::Target, floor::Answer};

static STARTED: AtomicU32 = AtomicU32::new(0);

/// A floor in a process of its own, as the target is one; it ends with this value.
#[derive(Debug)]
pub(crate) struct FloorProcess {
    pub(crate) target: Target,
    child: Child,
    answer: PathBuf,
}

impl FloorProcess {
    /// Starts this very program as a floor that gives `answer`.
    pub(crate) fn start(answer: &Answer, workers: usize) -> Result<Self> {
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let file = format!("rapport-floor-{}-{number}.answer", process::id());
        let file = std::env::temp_dir().join(file);
        fs::write(&file, &answer.body).with_context(|| format!("cannot write {}", file.display()))?;
        let child = Command::new(std::env::current_exe()?)
            .args(["floor", "--bind", "127.0.0.1:0", "--exit-with-parent"])
            .args(["--workers", &workers.to_string()])
            .args(["--content-type", &answer.content_type])
            .arg("--answer")
            .arg(&file)
            .stdin(Stdio::piped()) // its end tells the floor that this process is gone
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the floor")?;
        let mut floor = Self { target: Target { host: String::new(), port: 0, base: String::new() }, child, answer: file };
        let stdout = floor.child.stdout.take().context("the floor has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).context("the floor says nothing")?;
        let address = line.trim().rsplit(' ').next().unwrap_or_default();
        floor.target = address.parse().context("the floor did not start")?;
        Ok(floor)
    }

    /// Returns its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for FloorProcess {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.answer);
    }
}
