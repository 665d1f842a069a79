//! How long a connection may take: whoever reads slowly must not keep others out, and whoever reads may go on.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::time::Instant;
use tokio::time::sleep_until;

/// Of one connection.
#[derive(Debug)]
pub(super) struct Patience {
    time: Duration,
    until: Mutex<Instant>,
}

impl Patience {
    /// For so long, from now on.
    pub(super) fn new(time: Duration) -> Self {
        Self {
            time,
            until: Mutex::new(Instant::now() + time),
        }
    }

    /// It begins anew: something was taken.
    pub(super) fn renew(&self) {
        self.last(self.time);
    }

    /// It lasts for so long from now on.
    pub(super) fn last(&self, time: Duration) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + time;
    }

    /// Waits until it has run out.
    pub(super) async fn ended(&self) {
        loop {
            let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_nothing_was_taken_for_that_long() {
        let (patience, start) = (Patience::new(Duration::from_secs(30)), Instant::now());
        let both = tokio::join!(patience.ended(), async {
            tokio::time::sleep(Duration::from_secs(20)).await;
            patience.renew();
        });
        assert_eq!((both, start.elapsed().as_secs()), (((), ()), 50));
    }
}
