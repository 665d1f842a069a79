//! A child process whose output is collected line by line, so that a test can wait for what it says.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::wait;

/// What a program that has ended leaves in its pipes is read sooner. A child that it left behind may hold them open.
const LAST_WORDS: Duration = Duration::from_secs(20);

/// A running program; a handle that can be cloned. It is killed when its namespace is dropped, or by [`Process::kill`].
#[derive(Debug, Clone)]
pub struct Process {
    name: String,
    pid: u32,
    child: Arc<Mutex<Child>>,
    said: Arc<Said>,
}

/// Everything the program has printed, on stdout and stderr alike.
#[derive(Debug, Default)]
struct Said {
    transcript: Mutex<Transcript>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Transcript {
    lines: Vec<String>,
    open: u8,
    /// Nobody reads further.
    held: bool,
}

// === impl Process ===

impl Process {
    /// Starts the command; its output is collected, not inherited.
    pub fn spawn(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {command:?}"))?;
        let said = Arc::new(Said::default());
        said.lock().open = 2;
        if let Some(stdout) = child.stdout.take() {
            Said::collect(&said, stdout);
        }
        if let Some(stderr) = child.stderr.take() {
            Said::collect(&said, stderr);
        }
        Ok(Self {
            name: format!("{command:?}"),
            pid: child.id(),
            child: Arc::new(Mutex::new(child)),
            said,
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The first line, printed already or yet to come, that contains `text`. Fails at the deadline, and as soon as the
    /// program has closed its output without having said so; the error shows what it said instead.
    pub fn wait_for_line(&self, text: &str, deadline: Duration) -> Result<String> {
        let end = Instant::now() + deadline;
        let mut transcript = self.said.lock();
        loop {
            if let Some(line) = transcript.lines.iter().find(|line| line.contains(text)) {
                return Ok(line.clone());
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || transcript.open == 0 {
                bail!(
                    "{}: never said {text:?}, but:\n{}",
                    self.name,
                    transcript.lines.join("\n")
                );
            }
            let woken = self.said.more.wait_timeout(transcript, left);
            transcript = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What it has printed so far.
    pub fn said(&self) -> String {
        self.said.lock().lines.join("\n")
    }

    /// Reads nothing more of what it prints, so that its pipes fill up, until [`Process::release`].
    pub fn hold(&self) {
        self.said.lock().held = true;
    }

    /// Reads again.
    pub fn release(&self) {
        self.said.lock().held = false;
        self.said.more.notify_all();
    }

    /// Sends a signal to it, and only to it; an error when it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        // Its pid may belong to another program once it has been waited for, so look while nobody else can wait.
        let mut child = self.lock();
        ensure!(
            child.try_wait()?.is_none(),
            "{} has ended, so no {signal} for it",
            self.name
        );
        let pid = Pid::from_raw(i32::try_from(self.pid)?);
        nix::sys::signal::kill(pid, signal).with_context(|| format!("{signal} to {}", self.name))
    }

    /// Its status, when it has ended.
    pub fn ended(&self) -> Result<Option<ExitStatus>> {
        Ok(self.lock().try_wait()?)
    }

    /// Waits for its end, and for all that it has printed.
    pub fn wait(&self, deadline: Duration) -> Result<ExitStatus> {
        let status = wait::until(deadline, || self.ended().ok().flatten());
        let status = status.with_context(|| format!("{} is still running; it said:\n{}", self.name, self.said()))?;
        let is_open = |transcript: &mut Transcript| transcript.open > 0 && !transcript.held;
        drop(self.said.more.wait_timeout_while(self.said.lock(), LAST_WORDS, is_open));
        Ok(status)
    }

    /// Ends it at once; harmless when it has ended.
    pub fn kill(&self) {
        let mut child = self.lock();
        // Both fail only when it has ended and been waited for already.
        let _ = child.kill();
        let _ = child.wait();
    }

    fn lock(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Said ===

impl Said {
    fn lock(&self) -> MutexGuard<'_, Transcript> {
        self.transcript.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn collect(said: &Arc<Self>, from: impl Read + Send + 'static) {
        let said = Arc::clone(said);
        std::thread::spawn(move || {
            for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
                said.lock().lines.push(String::from_utf8_lossy(&line).into_owned());
                said.more.notify_all();
                drop(said.more.wait_while(said.lock(), |transcript| transcript.held));
            }
            said.lock().open -= 1;
            said.more.notify_all();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(30);

    fn shell(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::spawn(command).unwrap()
    }

    #[test]
    fn a_line_is_awaited_on_either_stream() {
        let process = shell("echo one; echo two >&2");
        assert_eq!(process.wait_for_line("on", SOON).unwrap(), "one");
        assert_eq!(process.wait_for_line("tw", SOON).unwrap(), "two");
    }

    #[test]
    fn a_program_that_ends_without_the_line_fails_at_once_and_shows_what_it_said() {
        let error = shell("echo something else")
            .wait_for_line("ready", Duration::from_hours(1))
            .unwrap_err();
        assert!(error.to_string().contains("something else"), "{error}");
    }

    #[test]
    fn a_program_that_is_waited_for_has_said_everything() {
        for _ in 0..20 {
            let process = shell("seq 1 2000; echo the end >&2");
            assert!(process.wait(SOON).unwrap().success());
            assert_eq!(process.said().lines().count(), 2001);
        }
    }

    #[test]
    fn what_is_held_back_is_read_later() {
        let process = shell("seq 1 20000; echo end");
        process.hold();
        process.release();
        process.wait_for_line("end", SOON).unwrap();
        assert_eq!(process.said().lines().count(), 20_001);
    }

    #[test]
    fn a_killed_process_has_ended() {
        let process = shell("exec tail -f /dev/null");
        process.kill();
        assert!(!process.wait(SOON).unwrap().success());
    }
}
