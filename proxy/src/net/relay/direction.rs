//! One direction of a relay: a pump, and what becomes of the end of its source.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use tokio::io::AsyncWrite;

use crate::net::pump::Broken;
use crate::net::pump::Pump;
use crate::net::stream::Stream;

/// What becomes of the end of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fin {
    /// The destination is told: it may be half of a conversation that goes on.
    Carried,
    /// The source is known to be dead: the destination gets a reset once it has what the source had sent, and no FIN
    /// before it.
    Withheld,
}

#[derive(Debug)]
enum State {
    Moving,
    /// Everything was delivered, the FIN not yet.
    Closing,
    Finished,
    /// The destination takes nothing any more.
    Severed(io::Error),
}

#[derive(Debug)]
pub(super) struct Direction {
    pump: Pump,
    state: State,
    told: u64,
}

impl Direction {
    pub(super) fn new(early: Vec<u8>) -> Self {
        Self {
            pump: Pump::starting_with(early),
            state: State::Moving,
            told: 0,
        }
    }

    /// Goes on as far as it can; fails when the source does.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        fin: Fin,
    ) -> io::Result<()> {
        if let State::Moving = self.state {
            match self.pump.poll(cx, from, to) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(_)) => self.state = State::Closing,
                Poll::Ready(Err(Broken::From(error))) => return Err(error),
                Poll::Ready(Err(Broken::To(error))) => self.state = State::Severed(error),
            }
        }
        if let State::Closing = self.state {
            let carried = match fin {
                Fin::Carried => Pin::new(to).poll_shutdown(cx),
                Fin::Withheld => Poll::Ready(Ok(())),
            };
            self.state = match carried {
                Poll::Ready(Ok(())) => State::Finished,
                Poll::Ready(Err(error)) => State::Severed(error),
                Poll::Pending => State::Closing,
            };
        }
        Ok(())
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state, State::Finished | State::Severed(_))
    }

    pub(super) fn is_severed(&self) -> bool {
        matches!(self.state, State::Severed(_))
    }

    /// What the opposite direction does with a FIN of its source, which is the destination of this one.
    pub(super) fn fin_of_its_reader(&self) -> Fin {
        if self.is_severed() { Fin::Withheld } else { Fin::Carried }
    }

    /// Why the destination takes nothing any more; told once.
    pub(super) fn sever_error(&mut self) -> Option<io::Error> {
        match std::mem::replace(&mut self.state, State::Finished) {
            State::Severed(error) => Some(error),
            State::Moving | State::Closing | State::Finished => None,
        }
    }

    /// Bytes that were read and that the destination has not taken.
    pub(super) fn buffered(&self) -> usize {
        self.pump.buffered()
    }

    /// Bytes that the destination has taken and that were told.
    pub(super) fn told(&self) -> u64 {
        self.told
    }

    /// Bytes that the destination has taken since the last call.
    pub(super) fn newly_moved(&mut self) -> usize {
        let moved = self.pump.moved();
        let count = moved - self.told;
        self.told = moved;
        count as usize
    }
}
