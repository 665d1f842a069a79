//! The two clocks at one moment, so that what one of them measured can be told by the other.

use std::time::SystemTime;
use tokio::time::Instant;

/// A moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    steady: Instant,
    wall: SystemTime,
}

impl Clock {
    /// This moment.
    pub(super) fn now() -> Self {
        Self {
            steady: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// Seconds since then, to the millisecond, as a reader wants it.
    pub(super) fn ago(&self, moment: Instant) -> f64 {
        self.steady.saturating_duration_since(moment).as_millis() as f64 / 1_000.0
    }

    /// The same by the other clock, which may have been set meanwhile: never less than nothing.
    pub(super) fn since(&self, moment: SystemTime) -> f64 {
        let since = self.wall.duration_since(moment).unwrap_or_default();
        since.as_millis() as f64 / 1_000.0
    }

    /// When that was.
    pub(super) fn wall(&self, moment: Instant) -> SystemTime {
        let ago = self.steady.saturating_duration_since(moment);
        self.wall.checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}
