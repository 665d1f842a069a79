//! How many connections each address has open, so that one source cannot take the places of all others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Addresses that are remembered at least before those without a connection are forgotten.
const REMEMBERED: usize = 1_024;

/// The open connections by address. It grows with the connections that are open, and no further.
#[derive(Debug)]
pub(super) struct Sources {
    most: usize,
    open: HashMap<IpAddr, Arc<AtomicUsize>>,
    tidy_at: usize,
}

/// A connection's place in the count of its source, until it is dropped, on whichever thread.
#[derive(Debug)]
pub(super) struct Seat(Arc<AtomicUsize>);

impl Sources {
    /// Each with at most so many.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            open: HashMap::new(),
            tidy_at: REMEMBERED,
        }
    }

    /// A seat for another connection from `address`, if it may have one.
    pub(super) fn seat(&mut self, address: IpAddr) -> Option<Seat> {
        if self.open.len() >= self.tidy_at {
            self.open.retain(|_, open| open.load(Ordering::Relaxed) > 0);
            // Twice what is in use: tidying costs each connection a constant.
            self.tidy_at = REMEMBERED.max(2 * self.open.len());
        }
        let open = self.open.entry(address).or_default();
        if open.load(Ordering::Relaxed) >= self.most {
            return None;
        }
        open.fetch_add(1, Ordering::Relaxed);
        Some(Seat(Arc::clone(open)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn a_source_has_no_more_than_its_seats_and_others_have_theirs() {
        let mut sources = Sources::new(2);
        let (first, second) = (sources.seat(address(1)).unwrap(), sources.seat(address(1)).unwrap());
        assert!(sources.seat(address(1)).is_none());
        let other = sources.seat(address(2));
        assert!(other.is_some());
        drop(first);
        assert!(sources.seat(address(1)).is_some());
        drop(second);
    }

    #[test]
    fn addresses_without_a_connection_are_forgotten() {
        let mut sources = Sources::new(1);
        let kept: Vec<_> = (0..10).map(|number| sources.seat(address(number)).unwrap()).collect();
        for number in 10..100_000 {
            assert!(sources.seat(address(number)).is_some());
            assert!(sources.open.len() <= REMEMBERED);
        }
        assert!(
            kept.iter()
                .enumerate()
                .all(|(number, _)| sources.seat(address(number as u32)).is_none())
        );
    }
}
