//! The time as of this turn of a worker's loop.

use std::cell::Cell;

use tokio::time::Instant;

/// One reading of the clock serves a whole turn. It belongs to one worker; all of them are given the same `origin`, so
/// that their milliseconds can be compared.
#[derive(Debug)]
pub struct Clock {
    origin: Instant,
    now: Cell<Instant>,
}

impl Clock {
    /// Reads the clock for the first time.
    pub fn new(origin: Instant) -> Self {
        Self {
            origin,
            now: Cell::new(Instant::now()),
        }
    }

    /// Reads the clock. To be called when a turn begins.
    pub fn refresh(&self) {
        self.now.set(Instant::now());
    }

    /// As of the last `refresh`.
    pub fn now(&self) -> Instant {
        self.now.get()
    }

    /// Milliseconds since the origin, as of the last `refresh`. They wrap after 49 days.
    pub fn millis(&self) -> u32 {
        self.now.get().saturating_duration_since(self.origin).as_millis() as u32
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_stands_still_between_refreshes() {
        let clock = Clock::new(Instant::now());
        tokio::time::advance(Duration::from_millis(1_500)).await;
        assert_eq!(clock.millis(), 0);
        clock.refresh();
        assert_eq!(clock.millis(), 1_500);
    }

    #[tokio::test(start_paused = true)]
    async fn milliseconds_wrap() {
        let clock = Clock::new(Instant::now());
        tokio::time::advance(Duration::from_millis(u64::from(u32::MAX) + 6)).await;
        clock.refresh();
        assert_eq!(clock.millis(), 5);
    }
}
