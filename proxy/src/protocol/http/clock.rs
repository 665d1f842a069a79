//! How long a request has been under way, and whether that is too long. A request without a limit asks no clock.

use crate::failure::Reason;
use crate::route::Limits;
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::time::{Instant, Sleep, sleep_until};

/// The time of one request, over all its attempts.
pub(super) struct Clock {
    limits: Limits,
    started: Instant,
    /// When the client had sent all of it.
    asked: Cell<Option<Instant>>,
    /// When a byte last moved.
    touched: Cell<Instant>,
}

impl Clock {
    pub(super) fn new(limits: Limits, started: Instant) -> Self {
        Self {
            limits,
            started,
            asked: Cell::new(None),
            touched: Cell::new(started),
        }
    }

    /// When the request began.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// Says whether the client has sent all of the request.
    pub(super) fn asked(&self, all: bool) {
        if all && self.limits.answer.is_some() && self.asked.get().is_none() {
            self.asked.set(Some(Instant::now()));
        }
    }

    /// Goes on with a request for as long as it may take. Whatever wakes it but the clock is taken for a byte that moved.
    pub(super) async fn watch<T>(&self, mut request: Pin<&mut impl Future<Output = T>>) -> Result<T, Reason> {
        if self.limits.is_none() {
            return Ok(request.await);
        }
        let mut alarm: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|cx| {
            let rang = alarm.as_ref().is_some_and(|alarm| alarm.is_elapsed());
            if !rang {
                self.touched.set(Instant::now());
            } else if self.end().is_some_and(|end| end <= Instant::now()) {
                return Poll::Ready(Err(Reason::RequestTimeout));
            }
            if let Poll::Ready(output) = request.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            match self.end() {
                Some(end) => arm(&mut alarm, end, cx).map(|()| Err(Reason::RequestTimeout)),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// When it has taken too long, as far as is known.
    fn end(&self) -> Option<Instant> {
        let Limits { answer, stream, idle } = self.limits;
        let answer = answer.zip(self.asked.get()).map(|(most, asked)| asked + most);
        let stream = stream.map(|most| self.started + most);
        let idle = idle.map(|most| self.touched.get() + most);
        [answer, stream, idle].into_iter().flatten().min()
    }
}

/// Wakes the task at `end` or sooner: an end that moves away costs nothing until the alarm rings too early.
fn arm(alarm: &mut Option<Pin<Box<Sleep>>>, end: Instant, cx: &mut Context<'_>) -> Poll<()> {
    let alarm = alarm.get_or_insert_with(|| Box::pin(sleep_until(end)));
    if alarm.is_elapsed() || alarm.deadline() > end {
        alarm.as_mut().reset(end);
    }
    alarm.as_mut().poll(cx)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::time::Duration;
    use tokio::time::sleep;

    #[expect(clippy::unnecessary_wraps, reason = "every limit may be none")]
    const fn seconds(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    fn clock(answer: Option<Duration>, stream: Option<Duration>, idle: Option<Duration>) -> Clock {
        Clock::new(Limits { answer, stream, idle }, Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_has_time_from_the_end_of_the_request() {
        let clock = clock(seconds(15), None, None);
        let begin = Instant::now();
        let uploading = pin!(async {
            sleep(Duration::from_secs(100)).await;
            clock.asked(true);
            clock.asked(true);
            std::future::pending::<()>().await;
        });
        assert_eq!(clock.watch(uploading).await, Err(Reason::RequestTimeout));
        assert_eq!(begin.elapsed().as_secs(), 115);
        assert_eq!(
            clock.watch(pin!(std::future::pending::<()>())).await,
            Err(Reason::RequestTimeout)
        );
        assert_eq!(begin.elapsed().as_secs(), 115, "another attempt has no time of its own");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_has_time_from_its_beginning() {
        let clock = clock(None, seconds(10), None);
        let begin = Instant::now();
        let busy = pin!(async {
            loop {
                sleep(Duration::from_secs(3)).await;
            }
        });
        let outcome: Result<(), Reason> = clock.watch(busy).await;
        assert_eq!(outcome, Err(Reason::RequestTimeout));
        assert_eq!(begin.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_on_which_something_moves_is_not_idle() {
        let clock = clock(None, None, seconds(10));
        let begin = Instant::now();
        let moving = pin!(async {
            for _ in 0..10 {
                sleep(Duration::from_secs(9)).await;
            }
            std::future::pending::<()>().await;
        });
        assert_eq!(clock.watch(moving).await, Err(Reason::RequestTimeout));
        assert_eq!(begin.elapsed().as_secs(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_soon_enough_ends_as_it_ends() {
        let clock = clock(seconds(1), seconds(1), seconds(1));
        clock.asked(true);
        assert_eq!(clock.watch(pin!(async { 7 })).await, Ok(7));
    }
}
