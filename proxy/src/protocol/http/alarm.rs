//! Waits for a client that end some time.

use crate::failure::Reason;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// A deadline that moves with every request, without touching the timer wheel for it: a sleep that ends too early is
/// moved on when it ends.
#[derive(Default)]
pub(super) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    /// The task is woken when it ends.
    armed: bool,
}

impl Alarm {
    /// Ready at `at` or later.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if sleep.deadline() > at {
            sleep.as_mut().reset(at);
            self.armed = false;
        }
        while !self.armed || sleep.is_elapsed() {
            if sleep.is_elapsed() {
                if Instant::now() >= at {
                    return Poll::Ready(());
                }
                sleep.as_mut().reset(at);
            }
            self.armed = sleep.as_mut().poll(cx).is_pending();
        }
        Poll::Pending
    }
}

/// How long a body rests in the middle. It is asked only while the body is all that is waited for, so that one which comes in one
/// piece has no part in it.
pub(super) struct Rest {
    patience: Option<Duration>,
    /// How much had moved, and when that was seen.
    seen: Option<(u64, Instant)>,
}

impl Rest {
    pub(super) fn new(patience: Option<Duration>) -> Self {
        Self { patience, seen: None }
    }

    /// Ready when no more than `moved` has moved for too long.
    pub(super) fn poll(&mut self, alarm: &mut Alarm, cx: &mut Context<'_>, moved: u64) -> Poll<()> {
        let Some(patience) = self.patience else {
            return Poll::Pending;
        };
        let since = match self.seen {
            Some((known, since)) if known == moved => since,
            _ => self.seen.insert((moved, Instant::now())).1,
        };
        alarm.poll(cx, since + patience)
    }
}

/// Why an answer that rests is given up: where the rest of the request is waited for as well, the endpoint is not to blame.
pub(super) fn who_rests(request_is_awaited: bool) -> Reason {
    if request_is_awaited {
        Reason::BodyTimeout
    } else {
        Reason::AnswerTimeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_moves_now_and_then_does_not_rest() {
        let begin = Instant::now();
        let (mut rest, mut alarm) = (Rest::new(Some(Duration::from_mins(1))), Alarm::default());
        for moved in 0..10 {
            let resting = poll_fn(|cx| rest.poll(&mut alarm, cx, moved));
            assert!(tokio::time::timeout(Duration::from_secs(50), resting).await.is_err());
        }
        poll_fn(|cx| rest.poll(&mut alarm, cx, 9)).await;
        assert_eq!(begin.elapsed().as_secs(), 9 * 50 + 60);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_it_may_rest_for_ever() {
        let (mut rest, mut alarm) = (Rest::new(None), Alarm::default());
        let resting = poll_fn(|cx| rest.poll(&mut alarm, cx, 0));
        assert!(tokio::time::timeout(Duration::from_hours(1000), resting).await.is_err());
    }
}
