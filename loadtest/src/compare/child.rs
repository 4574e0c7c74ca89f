use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{self, Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result};

use crate::{
    client::Target,
    floor::{Answer, Work},
};

static STARTED: AtomicU32 = AtomicU32::new(0);

/// A floor in a process of its own, as the target is one; it ends with this value.
#[derive(Debug)]
pub(crate) struct FloorProcess {
    pub(crate) target: Target,
    child: Child,
    /// What it reads and writes, removed at its end.
    files: Vec<PathBuf>,
}

impl FloorProcess {
    /// Starts this very program as a floor that gives `answers`, all of the first one's type.
    pub(crate) fn start(answers: &[Answer], workers: usize, work: Work) -> Result<Self> {
        let first = answers.first().context("a floor needs an answer")?;
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let mut files = Vec::new();
        for (index, answer) in answers.iter().enumerate() {
            let file = format!("rapport-floor-{}-{number}-{index}.answer", process::id());
            let file = std::env::temp_dir().join(file);
            fs::write(&file, &answer.body).with_context(|| format!("cannot write {}", file.display()))?;
            files.push(file);
        }
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["floor", "--bind", "127.0.0.1:0", "--exit-with-parent"])
            .args(["--workers", &workers.to_string()])
            .args(["--content-type", &first.content_type])
            .args(files.iter().flat_map(|file| [OsStr::new("--answer"), file.as_os_str()]))
            .stdin(Stdio::piped()) // its end tells the floor that this process is gone
            .stdout(Stdio::piped());
        if let Work::Append(log) = work {
            command.arg("--append").arg(&log);
            files.push(log);
        }
        let child = command.spawn().context("cannot start the floor")?;
        let mut floor = Self { target: Target { host: String::new(), port: 0, base: String::new() }, child, files };
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
        for file in &self.files {
            let _ = fs::remove_file(file);
        }
    }
}
