//! What one worker lets its clients ask for: its share of the limits of the process.

use crate::failure::Reason;
use evenkeel_control_api::mesh::settings::{Flood, ProcessLimits};
use std::cell::Cell;
use std::time::Duration;

/// The limits that requests and connections meet, and how far they are used.
#[derive(Debug)]
pub struct Bounds {
    /// Requests that may be under way in this worker.
    requests: usize,
    /// Requests that are.
    under_way: Cell<usize>,
    /// How long the body of a request may rest.
    pub body_timeout: Option<Duration>,
    /// How long the body of an answer may rest.
    pub answer_timeout: Option<Duration>,
    /// Interim answers to one request.
    interim_answers: u32,
    /// That may wait for slow readers.
    pub buffered_bytes: usize,
    /// That one connection may hold for one.
    pub connection_buffer: usize,
    /// On an HTTP/2 connection.
    pub flood: Flood,
}

/// Counts the interim answers to one request.
#[derive(Debug)]
pub struct Interim {
    most: u32,
    seen: u32,
}

/// A request's place among those under way, until it is dropped.
#[derive(Debug)]
pub struct Place<'a>(&'a Cell<usize>);

impl Bounds {
    /// The share of one of `workers`. Connections are dealt to the worker that has the fewest, and each of them may have
    /// many requests: an even share that is rounded up.
    pub fn new(limits: &ProcessLimits, workers: usize) -> Self {
        Self {
            requests: limits.requests.div_ceil(workers.max(1)),
            under_way: Cell::new(0),
            body_timeout: limits.body_timeout,
            answer_timeout: limits.answer_timeout,
            interim_answers: limits.interim_answers,
            buffered_bytes: limits.buffered_bytes.div_ceil(workers.max(1)),
            connection_buffer: limits.connection_buffer,
            flood: limits.flood,
        }
    }

    /// Lets a request in.
    ///
    /// # Errors
    /// As many as may be are under way.
    pub fn admit(&self) -> Result<Place<'_>, Reason> {
        let under_way = self.under_way.get();
        if under_way >= self.requests {
            return Err(Reason::Overloaded);
        }
        self.under_way.set(under_way + 1);
        Ok(Place(&self.under_way))
    }
}

impl Bounds {
    /// For another request.
    pub fn interim(&self) -> Interim {
        Interim {
            most: self.interim_answers,
            seen: 0,
        }
    }
}

impl Interim {
    /// Another one.
    ///
    /// # Errors
    /// It is one too many.
    pub fn another(&mut self) -> Result<(), Reason> {
        if self.seen == self.most {
            return Err(Reason::TooManyInterim);
        }
        self.seen += 1;
        Ok(())
    }

    /// How many there were.
    pub fn seen(&self) -> u32 {
        self.seen
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_let_in_up_to_the_share_and_again_when_one_has_ended() {
        let limits = ProcessLimits {
            requests: 5,
            ..ProcessLimits::default()
        };
        let bounds = Bounds::new(&limits, 2);
        let mut places: Vec<_> = (0..3).map(|_| bounds.admit().unwrap()).collect();
        assert_eq!(bounds.admit().unwrap_err(), Reason::Overloaded);
        places.pop();
        assert!(bounds.admit().is_ok());
    }
}
