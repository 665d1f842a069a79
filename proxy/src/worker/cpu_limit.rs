//! How many workers a container's CPU limit is worth.

use std::fs;
use std::num::NonZeroUsize;

/// The CPU limit of this process's control group, rounded up; without one, the CPUs that it may run on.
pub fn cpu_limit() -> NonZeroUsize {
    let available = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let limit = fs::read_to_string("/sys/fs/cgroup/cpu.max")
        .ok()
        .and_then(|text| quota_v2(&text));
    let limit = limit.or_else(|| {
        let read = |name| fs::read_to_string(format!("/sys/fs/cgroup/cpu/{name}")).ok();
        rounded_up(read("cpu.cfs_quota_us")?.trim(), read("cpu.cfs_period_us")?.trim())
    });
    // The standard library rounds a limit down, so that it may name fewer than we want, but never more CPUs than exist.
    limit.unwrap_or(available)
}

/// `cpu.max`: the quota and its period in microseconds, or `max`.
fn quota_v2(text: &str) -> Option<NonZeroUsize> {
    let (quota, period) = text.trim().split_once(' ')?;
    rounded_up(quota, period)
}

fn rounded_up(quota: &str, period: &str) -> Option<NonZeroUsize> {
    let (quota, period): (usize, usize) = (quota.parse().ok()?, period.parse().ok()?);
    NonZeroUsize::new(if period == 0 { 0 } else { quota.div_ceil(period) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_rounded_up() {
        assert_eq!(quota_v2("150000 100000\n"), NonZeroUsize::new(2));
        assert_eq!(quota_v2("10000 100000\n"), NonZeroUsize::new(1));
    }

    #[test]
    fn no_limit_is_no_number() {
        assert_eq!(quota_v2("max 100000\n"), None);
        assert_eq!(rounded_up("-1", "100000"), None);
    }
}
