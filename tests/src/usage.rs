//! What a process uses, as the kernel counts it: descriptors, memory, processor time.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;

use crate::process::Process;

/// Ticks of `/proc/PID/stat` in a second: `USER_HZ`, 100 wherever Linux runs Rust.
const TICKS: u64 = 100;

/// One look at a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Open file descriptors, the sockets among them.
    pub descriptors: usize,
    /// Open sockets.
    pub sockets: usize,
    /// Resident memory in bytes.
    pub resident: u64,
    /// The most that was ever resident, or since [`forget_peak`], in bytes.
    pub peak: u64,
    /// Processor time of all its threads, user's and kernel's.
    pub processor: Duration,
}

// === impl Usage ===

impl Usage {
    /// How it is now; an error when the process has ended.
    pub fn of(process: &Process) -> Result<Self> {
        let folder = format!("/proc/{}", process.pid());
        let status = fs::read_to_string(format!("{folder}/status"))?;
        let stat = fs::read_to_string(format!("{folder}/stat"))?;
        let open: Vec<_> = fs::read_dir(format!("{folder}/fd"))?.flatten().collect();
        // One that was closed since is none.
        let targets = open.iter().filter_map(|entry| fs::read_link(entry.path()).ok());
        Ok(Self {
            descriptors: open.len(),
            sockets: targets
                .filter(|target| target.to_string_lossy().starts_with("socket:"))
                .count(),
            resident: bytes_of(&status, "VmRSS:").context("no VmRSS")?,
            peak: bytes_of(&status, "VmHWM:").context("no VmHWM")?,
            processor: processor(&stat).with_context(|| format!("not a stat line: {stat}"))?,
        })
    }
}

/// Processor time of the threads that live, by their names; of several with one name together.
pub fn threads(process: &Process) -> Result<BTreeMap<String, Duration>> {
    let mut threads = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{}/task", process.pid()))? {
        let folder = entry?.path();
        // One that has ended since is none.
        let (Ok(name), Ok(stat)) = (
            fs::read_to_string(folder.join("comm")),
            fs::read_to_string(folder.join("stat")),
        ) else {
            continue;
        };
        let used = processor(&stat).with_context(|| format!("not a stat line: {stat}"))?;
        *threads.entry(name.trim_end().to_owned()).or_default() += used;
    }
    Ok(threads)
}

/// Makes the peak what is resident now.
pub fn forget_peak(process: &Process) -> Result<()> {
    Ok(fs::write(format!("/proc/{}/clear_refs", process.pid()), "5")?)
}

/// How long each thread of some processes has waited for a processor: what a machine that has much else to do took away from
/// them. Nothing where the kernel does not count it.
#[derive(Debug)]
pub struct Waits(BTreeMap<u32, BTreeMap<OsString, Duration>>);

impl Waits {
    /// Of these processes' threads that are there now.
    pub fn of(processes: impl IntoIterator<Item = u32>) -> Result<Self> {
        let threads = |process: u32| {
            let threads = fs::read_dir(format!("/proc/{process}/task"))?.flatten();
            // One that has ended since has waited for nothing.
            let waited = threads.filter_map(|thread| {
                let line = fs::read_to_string(thread.path().join("schedstat")).ok()?;
                Some((thread.file_name(), Duration::from_nanos(delay(&line)?)))
            });
            Ok((process, waited.collect()))
        };
        processes.into_iter().map(threads).collect::<Result<_>>().map(Self)
    }

    /// Since `before`, by the thread of each process that waited longest: the threads of a process wait side by side, and all of
    /// their time may be more than has passed.
    pub fn since(&self, before: &Self) -> Duration {
        let longest = |(process, threads): (&u32, &BTreeMap<OsString, Duration>)| {
            let before = |thread| before.0.get(process)?.get(thread).copied();
            let waited = threads
                .iter()
                .map(|(thread, now)| now.saturating_sub(before(thread).unwrap_or_default()));
            waited.max().unwrap_or_default()
        };
        self.0.iter().map(longest).sum()
    }
}

/// The same of single threads, which wait one after the other for what one has to tell the next.
#[derive(Debug)]
pub struct Chain(Vec<PathBuf>);

impl Chain {
    /// The thread that asks, and these of other processes, by their names.
    pub fn of(threads: &[(&Process, &str)]) -> Result<Self> {
        let mut chain = vec![fs::canonicalize("/proc/thread-self")?];
        for (process, name) in threads {
            let folders = fs::read_dir(format!("/proc/{}/task", process.pid()))?.flatten();
            let is_it =
                |folder: &PathBuf| fs::read_to_string(folder.join("comm")).is_ok_and(|comm| comm.trim_end() == *name);
            let found = folders.map(|folder| folder.path()).find(is_it);
            chain.push(found.with_context(|| format!("no thread is called {name}"))?);
        }
        Ok(Self(chain))
    }

    /// How long they have waited so far, together.
    pub fn waited(&self) -> Result<Duration> {
        let mut waited = Duration::ZERO;
        for thread in &self.0 {
            let line = fs::read_to_string(thread.join("schedstat"))?;
            waited += Duration::from_nanos(delay(&line).with_context(|| format!("not a schedstat line: {line}"))?);
        }
        Ok(waited)
    }
}

/// The second field of `/proc/PID/schedstat`, in nanoseconds.
fn delay(schedstat: &str) -> Option<u64> {
    schedstat.split_whitespace().nth(1)?.parse().ok()
}

/// A value of `/proc/PID/status`, which is in KiB.
fn bytes_of(status: &str, label: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(label))?;
    let value: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(value << 10)
}

/// `utime` and `stime`, fields 14 and 15 of proc(5). The second field is a name in parentheses that may hold anything.
fn processor(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1000 / TICKS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_a_processor_is_known() {
        assert_eq!(delay("7200 1300 4\n"), Some(1300));
        assert_eq!(delay(""), None);
        assert!(Waits::of([std::process::id()]).is_ok());
    }

    #[test]
    fn of_each_process_the_longest_wait_counts() {
        let waits = |all: &[(u32, &[(&str, u64)])]| {
            let threads = |threads: &[(&str, u64)]| {
                let each = threads
                    .iter()
                    .map(|(thread, seconds)| ((*thread).into(), Duration::from_secs(*seconds)));
                each.collect()
            };
            Waits(all.iter().map(|(process, each)| (*process, threads(each))).collect())
        };
        let before = waits(&[(1, &[("1", 10), ("2", 0)])]);
        let after = waits(&[(1, &[("1", 11), ("2", 3), ("3", 2)]), (4, &[("4", 5)])]);
        assert_eq!(after.since(&before), Duration::from_secs(3 + 5));
    }

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 1 0";
        assert_eq!(processor(stat), Some(Duration::from_secs(2)));
        assert_eq!(processor("7 (a) S 1 7"), None);
    }

    #[test]
    fn memory_is_told_in_bytes() {
        assert_eq!(
            bytes_of("VmHWM:\t    20 kB\nVmRSS:\t    12 kB\n", "VmRSS:"),
            Some(12 << 10)
        );
        assert_eq!(bytes_of("Name:\tx\n", "VmRSS:"), None);
    }
}
