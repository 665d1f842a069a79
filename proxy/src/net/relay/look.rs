//! The rare look at what no event tells: that nothing moves, and that a side which has sent its FIN is gone.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;

use tokio::time::Instant;
use tokio::time::Sleep;

use crate::net::relay::Side;
use crate::net::stream::Stream;

/// An idle connection is noticed after its idle time and at most a quarter more, without a clock reading for each
/// message.
const IDLE_LOOKS: u32 = 4;

/// How often a half-closed connection is asked whether the side that sent its FIN is still there. Nothing is read from
/// that side any more, so a reset would be noticed by the next write only, which may never come.
const HALF_CLOSED_LOOK: Duration = Duration::from_secs(15);

/// What was seen.
#[derive(Debug)]
pub(super) enum Seen {
    /// Nothing moved for the idle time.
    Quiet,
    /// The side that had sent its FIN is gone.
    Gone(Side, io::Error),
}

#[derive(Debug)]
pub(super) struct Look {
    idle: Option<Duration>,
    half_closed: bool,
    moved: u64,
    quiet_since: Instant,
}

impl Look {
    pub(super) fn new(idle: Option<Duration>) -> Self {
        Self {
            idle,
            half_closed: false,
            moved: 0,
            quiet_since: Instant::now(),
        }
    }

    /// When the alarm is to ring next.
    pub(super) fn next(&self) -> Instant {
        Instant::now() + self.period().unwrap_or(HALF_CLOSED_LOOK)
    }

    /// Time between looks; nothing where there is nothing to look for.
    fn period(&self) -> Option<Duration> {
        let idle = self.idle.map(|idle| idle / IDLE_LOOKS);
        match (idle, self.half_closed) {
            (Some(idle), true) => Some(idle.min(HALF_CLOSED_LOOK)),
            (None, true) => Some(HALF_CLOSED_LOOK),
            (idle, false) => idle,
        }
    }

    /// `moved` are the bytes moved so far, `half_closed` is who sent its FIN while the other is still to send.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut alarm: Pin<&mut Sleep>,
        moved: u64,
        half_closed: Option<(Side, &Stream)>,
    ) -> Poll<Seen> {
        if half_closed.is_some() && !self.half_closed {
            self.half_closed = true;
            alarm.as_mut().reset(self.next());
        }
        if self.period().is_none() {
            return Poll::Pending;
        }
        loop {
            ready!(alarm.as_mut().poll(cx));
            if let Some(seen) = self.look(moved, half_closed) {
                return Poll::Ready(seen);
            }
            alarm.as_mut().reset(self.next());
        }
    }

    fn look(&mut self, moved: u64, half_closed: Option<(Side, &Stream)>) -> Option<Seen> {
        if let Some((side, stream)) = half_closed
            && let Some(error) = stream.take_error()
        {
            return Some(Seen::Gone(side, error));
        }
        let now = Instant::now();
        if moved != self.moved {
            self.moved = moved;
            self.quiet_since = now;
        }
        (now - self.quiet_since >= self.idle?).then_some(Seen::Quiet)
    }
}
