//! What the kernel knows about this process, under the names that every Prometheus client uses.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;

use nix::sys::resource::Resource;
use nix::sys::resource::UsageWho;
use nix::sys::resource::getrlimit;
use nix::sys::resource::getrusage;
use nix::sys::time::TimeValLike;

use crate::telemetry::Family;
use crate::telemetry::catalogue;

/// Ticks in a second of `/proc/self/stat`, part of the kernel's interface on all machines that we build for.
const USER_HZ: f64 = 100.0;

/// Figures as of now. What cannot be read is left out: `/proc` may be hidden.
pub fn families() -> Vec<Family> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let own = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let system = fs::read_to_string("/proc/stat").unwrap_or_default();
    let limit = getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft as f64);
    let families = [
        (catalogue::PROCESS_CPU, cpu_seconds()),
        (
            catalogue::PROCESS_RESIDENT_MEMORY,
            field(&status, "VmRSS:").map(|kib| kib * 1_024.0),
        ),
        (catalogue::PROCESS_THREADS, field(&status, "Threads:")),
        (catalogue::PROCESS_OPEN_FDS, open_descriptors()),
        (catalogue::PROCESS_MAX_FDS, limit),
        (catalogue::PROCESS_START_TIME, start_time(&own, &system)),
    ];
    let known = families
        .into_iter()
        .filter_map(|(metric, value)| Some(Family::of(metric, value?)));
    known.collect()
}

/// What the kernel says of the memory of this process; `None`: it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// In memory now.
    pub resident_bytes: Option<u64>,
    /// In memory at most, so far.
    pub peak_resident_bytes: Option<u64>,
    /// Of those in memory, those that no file has: the heap and the stacks.
    pub anonymous_bytes: Option<u64>,
    /// Of those in memory, those of files: the program itself.
    pub file_bytes: Option<u64>,
    /// In swap.
    pub swapped_bytes: Option<u64>,
    /// Addresses that are taken, used or not.
    pub virtual_bytes: Option<u64>,
}

/// As of now.
pub fn memory() -> Memory {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bytes = |name| field(&status, name).map(|kib| kib as u64 * 1_024);
    Memory {
        resident_bytes: bytes("VmRSS:"),
        peak_resident_bytes: bytes("VmHWM:"),
        anonymous_bytes: bytes("RssAnon:"),
        file_bytes: bytes("RssFile:"),
        swapped_bytes: bytes("VmSwap:"),
        virtual_bytes: bytes("VmSize:"),
    }
}

/// CPU time of each thread by its name, in user and system mode.
pub fn cpu_seconds_by_thread() -> BTreeMap<String, f64> {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let stats = threads.filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok());
    stats.filter_map(|stat| thread_cpu_seconds(&stat)).collect()
}

fn thread_cpu_seconds(stat: &str) -> Option<(String, f64)> {
    // The second field is a name in parentheses that may hold anything; user and system mode are the 14th and the 15th.
    let (before, fields) = stat.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: f64 = ticks.map(|ticks| ticks.parse().unwrap_or(0.0)).sum();
    Some((name.to_owned(), ticks / USER_HZ))
}

fn cpu_seconds() -> Option<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    Some(
        [usage.user_time(), usage.system_time()]
            .iter()
            .map(|time| time.num_microseconds() as f64 / 1e6)
            .sum(),
    )
}

fn open_descriptors() -> Option<f64> {
    // The directory that is being read is among them.
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64)
}

/// The number after a line's name in `/proc/self/status`.
fn field(status: &str, name: &str) -> Option<f64> {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// Seconds since 1970: when the machine started, and how long after that we did.
fn start_time(own: &str, system: &str) -> Option<f64> {
    // The second field is a name in parentheses that may hold anything; the twenty-second is the twentieth after it.
    let (_, fields) = own.rsplit_once(')')?;
    let ticks: f64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    Some(field(system, "btime ")? + ticks / USER_HZ)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_parentheses_may_hold_parentheses_and_spaces() {
        let own = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 5 6 0 0 20 0 3 0 1234 100 200 18446744073709551615";
        assert_eq!(start_time(own, "cpu 1 2\nbtime 1000\nprocesses 5\n"), Some(1_012.34));
    }

    #[test]
    fn the_time_of_a_thread_is_found_after_a_name_with_parentheses() {
        let stat = "7 (worker) 1) S 1 7 7 0 -1 4194560 1 0 0 0 50 25 0 0 20 0 3 0 1234 100 200";
        assert_eq!(thread_cpu_seconds(stat), Some(("worker) 1".to_owned(), 0.75)));
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        assert_eq!(start_time("", ""), None);
        assert_eq!(field("Threads:\tmany\n", "Threads:"), None);
        assert_eq!(field("Name:\tx\nThreads:\t12\n", "Threads:"), Some(12.0));
    }

    #[test]
    fn the_figures_of_this_process_are_plausible() {
        let families = families();
        let value = |name: &str| {
            families
                .iter()
                .find(|family| family.metric.name == name)
                .unwrap()
                .samples[0]
                .value
        };
        assert!(value("process_resident_memory_bytes") > 500_000.0);
        assert!(value("process_threads") >= 2.0);
        assert!((3.0..=value("process_max_fds")).contains(&value("process_open_fds")));
        assert!(value("process_start_time_seconds") > 1_600_000_000.0);
        assert!(value("process_cpu_seconds_total") >= 0.0);
    }
}
