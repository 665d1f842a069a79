//! How the requests went.

use crate::inject::Skipped;
use std::fmt::{Display, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What became of a request, but for those that were skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// The pod got its proxy.
    Injected,
    /// It had its proxy already.
    Unchanged,
    /// It cannot have one.
    Refused,
    /// It was no new pod.
    NotAsked,
    /// It could not be read, or not in time.
    Error,
}

impl Counted {
    const ALL: [Self; 5] = [
        Self::Injected,
        Self::Unchanged,
        Self::Refused,
        Self::NotAsked,
        Self::Error,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Injected => "injected",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
            Self::NotAsked => "not_asked",
            Self::Error => "error",
        }
    }
}

/// Counts of the webhook, since the start.
#[derive(Debug, Default)]
pub struct Counts {
    results: [AtomicU64; Counted::ALL.len()],
    skipped: [AtomicU64; Skipped::ALL.len()],
    answers: AtomicU64,
    nanoseconds: AtomicU64,
    settings_accepted: AtomicU64,
    settings_refused: AtomicU64,
}

impl Counts {
    pub(super) fn count(&self, result: Counted) {
        self.results[result as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn skipped(&self, why: Skipped) {
        self.skipped[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A request was answered after so long.
    pub(super) fn took(&self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
        self.answers.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn settings_accepted(&self) {
        self.settings_accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn settings_refused(&self) {
        self.settings_refused.fetch_add(1, Ordering::Relaxed);
    }

    /// As families of Prometheus' text format.
    pub fn page(&self) -> String {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let mut page = String::new();
        let name = "evenkeel_control_injections_total";
        let help = "Requests to the webhook, by what became of them; skipped pods have reasons of their own.";
        family(&mut page, name, "counter", help);
        for result in Counted::ALL {
            let labels = label("result", result.label());
            sample(&mut page, name, &labels, load(&self.results[result as usize]));
        }
        let name = "evenkeel_control_injections_skipped_total";
        let help = "Pods that the webhook left as they were, by reason.";
        family(&mut page, name, "counter", help);
        for why in Skipped::ALL {
            let labels = label("reason", why.label());
            sample(&mut page, name, &labels, load(&self.skipped[why as usize]));
        }
        let name = "evenkeel_control_injection_duration_seconds";
        family(&mut page, name, "summary", "From a request's head to its answer.");
        let seconds = Duration::from_nanos(load(&self.nanoseconds)).as_secs_f64();
        sample(&mut page, &format!("{name}_sum"), "", seconds);
        sample(&mut page, &format!("{name}_count"), "", load(&self.answers));
        let name = "evenkeel_control_injection_settings_changes_total";
        family(
            &mut page,
            name,
            "counter",
            "Settings files read, by what became of them.",
        );
        sample(
            &mut page,
            name,
            &label("result", "accepted"),
            load(&self.settings_accepted),
        );
        sample(
            &mut page,
            name,
            &label("result", "refused"),
            load(&self.settings_refused),
        );
        page
    }
}

fn family(page: &mut String, name: &str, kind: &str, help: &str) {
    writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("a String takes all that is written");
}

fn sample(page: &mut String, name: &str, labels: &str, value: impl Display) {
    writeln!(page, "{name}{labels} {value}").expect("a String takes all that is written");
}

fn label(name: &str, value: &str) -> String {
    format!("{{{name}=\"{value}\"}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_has_its_own_place() {
        for (index, result) in Counted::ALL.into_iter().enumerate() {
            assert_eq!(result as usize, index);
        }
        for (index, why) in Skipped::ALL.into_iter().enumerate() {
            assert_eq!(why as usize, index);
        }
        let counts = Counts::default();
        counts.count(Counted::Refused);
        counts.skipped(Skipped::WouldNotComplete);
        counts.took(Duration::from_millis(1_500));
        let page = counts.page();
        for line in [
            "evenkeel_control_injections_total{result=\"refused\"} 1\n",
            "evenkeel_control_injections_total{result=\"injected\"} 0\n",
            "evenkeel_control_injections_skipped_total{reason=\"would_not_complete\"} 1\n",
            "evenkeel_control_injection_duration_seconds_sum 1.5\n",
            "evenkeel_control_injection_duration_seconds_count 1\n",
        ] {
            assert!(page.contains(line), "{line}{page}");
        }
    }
}
