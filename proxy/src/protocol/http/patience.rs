//! How long a client's HTTP/2 connection is waited for: without a stream, and in the middle of a head.

use super::streams::Streams;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// The alarms of one connection.
pub(super) struct Patience {
    /// Armed once and moved when it rings: nothing touches the timer for a stream.
    idle: Option<(Duration, Pin<Box<Sleep>>)>,
    head: Option<Duration>,
    /// The head that is waited for, and until when. Heads come whole but for hostile clients, so that it costs nothing.
    late: Option<(u32, Pin<Box<Sleep>>)>,
}

impl Patience {
    pub(super) fn new(idle: Option<Duration>, head: Option<Duration>) -> Self {
        Self {
            idle: idle.map(|patience| (patience, Box::pin(sleep(patience)))),
            head,
            late: None,
        }
    }

    /// Ready when there has been no stream for long.
    pub(super) fn poll_idle(&mut self, cx: &mut Context<'_>, streams: &Streams) -> Poll<()> {
        let Some((patience, alarm)) = &mut self.idle else {
            return Poll::Pending;
        };
        loop {
            ready!(alarm.as_mut().poll(cx));
            let until = streams.idle_since() + *patience;
            if until <= Instant::now() {
                self.idle = None;
                return Poll::Ready(());
            }
            alarm.as_mut().reset(until);
        }
    }

    /// Ready when the head with the number `awaited` has been waited for too long.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>, awaited: Option<u32>) -> Poll<()> {
        let (Some(patience), Some(number)) = (self.head, awaited) else {
            self.late = None;
            return Poll::Pending;
        };
        let alarm = match &mut self.late {
            Some((known, alarm)) if *known == number => alarm,
            late => &mut late.insert((number, Box::pin(sleep(patience)))).1,
        };
        alarm.as_mut().poll(cx)
    }
}
