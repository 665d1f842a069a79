//! Rates over the last few seconds.

use crate::telemetry::Traffic;
use serde::Serialize;
use std::collections::VecDeque;
use tokio::time::Instant;

/// Looks that are compared with: with one every second, rates are those of the last five seconds. Fewer make figures jump
/// where there are few requests, more make them late.
const LOOKS: usize = 5;

/// What was seen at the last looks.
#[derive(Debug)]
pub(super) struct Window<T>(VecDeque<(Instant, T)>);

/// How much goes on, how well and how fast. What cannot be said yet, or of no request, is `None`.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    /// Since the beginning.
    requests: u64,
    failed: u64,
    connections: u64,
    /// In the last seconds.
    per_second: Option<f64>,
    connections_per_second: Option<f64>,
    /// The share of requests that did not fail, 0 to 1.
    success: Option<f64>,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
}

impl<T> Default for Window<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Window<T> {
    /// One more look.
    pub(super) fn push(&mut self, now: Instant, seen: T) {
        self.0.push_back((now, seen));
        if self.0.len() > LOOKS + 1 {
            self.0.pop_front();
        }
    }

    /// What is compared with; `None`: there was one look only.
    pub(super) fn before(&self) -> Option<&T> {
        self.span().map(|(before, _)| before)
    }

    /// The oldest look, and the seconds from there to the newest.
    fn span(&self) -> Option<(&T, f64)> {
        let ((first, before), (last, _)) = (self.0.front()?, self.0.back()?);
        let seconds = last.saturating_duration_since(*first).as_secs_f64();
        (seconds > 0.0).then_some((before, seconds))
    }

    /// How fast a count grows. What was not there before began at zero.
    pub(super) fn per_second(&self, now: u64, before: impl FnOnce(&T) -> Option<u64>) -> Option<f64> {
        let (seen, seconds) = self.span()?;
        let before = before(seen).unwrap_or_default();
        Some(now.saturating_sub(before) as f64 / seconds)
    }

    /// The figures of `now`, which was `before` at the oldest look.
    pub(super) fn figures<'a>(&'a self, now: &Traffic, before: impl FnOnce(&'a T) -> Option<&'a Traffic>) -> Figures {
        let nothing = Traffic::default();
        let recent = self.span().map(|(seen, seconds)| {
            let recent = now.since(before(seen).unwrap_or(&nothing));
            (recent, seconds)
        });
        let recent = recent.as_ref();
        let millis = |share| recent.and_then(|(recent, _)| Some(recent.quantile(share)? * 1_000.0));
        Figures {
            requests: now.requests,
            failed: now.failed,
            connections: now.connections,
            per_second: recent.map(|(recent, seconds)| recent.requests as f64 / seconds),
            connections_per_second: recent.map(|(recent, seconds)| recent.connections as f64 / seconds),
            success: recent
                .filter(|(recent, _)| recent.requests > 0)
                .map(|(recent, _)| 1.0 - recent.failed.min(recent.requests) as f64 / recent.requests as f64),
            p50_ms: millis(0.5),
            p99_ms: millis(0.99),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn traffic(requests: u64, failed: u64) -> Traffic {
        Traffic {
            requests,
            failed,
            ..Traffic::default()
        }
    }

    #[test]
    fn a_rate_is_that_of_the_last_five_seconds() {
        let (mut window, start) = (Window::default(), Instant::now());
        window.push(start, traffic(0, 0));
        assert_eq!(
            window.figures(&traffic(9, 0), Some).per_second,
            None,
            "there is nothing to compare with"
        );
        for second in 1..=20 {
            window.push(start + Duration::from_secs(second), traffic(second * 100, second * 10));
        }
        let figures = window.figures(&traffic(2_000, 200), Some);
        assert_eq!(figures.per_second, Some(100.0));
        assert_eq!(figures.success, Some(0.9));
        assert_eq!((figures.requests, figures.failed), (2_000, 200));
        assert_eq!(figures.p50_ms, None, "nothing is known of durations");
    }

    #[test]
    fn what_was_not_there_before_began_at_zero_and_nothing_has_no_success() {
        let (mut window, start) = (Window::default(), Instant::now());
        window.push(start, ());
        window.push(start + Duration::from_secs(2), ());
        assert_eq!(window.figures(&traffic(10, 0), |()| None).per_second, Some(5.0));
        assert_eq!(window.figures(&Traffic::default(), |()| None).success, None);
        assert_eq!(window.per_second(4, |()| Some(6)), Some(0.0), "a count that began anew");
    }
}
