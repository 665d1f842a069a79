//! Counters by status: a bounded number, whatever servers answer.

use http::StatusCode;

use crate::telemetry::Counter;

/// IANA's registry, and the 499 that we book for a client that went away.
const REGISTERED: [u16; 62] = [
    100, 101, 102, 103, 200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 307, 308, 400,
    401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 423, 424, 425, 426,
    428, 429, 431, 451, 499, 500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511,
];
/// The rest of each class, and what is of no class at all.
const REST: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "other"];
/// After the registered ones and the rest: no response was made.
const NONE: usize = REGISTERED.len() + REST.len();
/// The last number that gRPC defines (`statuscodes.md`), unauthenticated.
const GRPC_LAST: u8 = 16;

/// From a status less 100 to its counter.
static SLOTS: [u8; 500] = slots();

const fn slots() -> [u8; 500] {
    let mut slots = [0; 500];
    let mut offset = 0;
    while offset < slots.len() {
        slots[offset] = (REGISTERED.len() + offset / 100) as u8;
        offset += 1;
    }
    let mut slot = 0;
    while slot < REGISTERED.len() {
        slots[REGISTERED[slot] as usize - 100] = slot as u8;
        slot += 1;
    }
    slots
}

/// Responses by HTTP status.
#[derive(Debug)]
pub(super) struct Statuses([Counter; NONE + 1]);

impl Default for Statuses {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

impl Statuses {
    /// Every label with the place of its counter.
    pub(super) fn labels() -> impl Iterator<Item = (usize, String)> {
        let registered = REGISTERED.iter().map(ToString::to_string);
        registered
            .chain(REST.map(str::to_owned))
            .chain(["none".to_owned()])
            .enumerate()
    }

    pub(super) fn count(&self, status: Option<StatusCode>) {
        let slot = match status {
            None => NONE,
            // A `StatusCode` is 100 to 999.
            Some(status) => {
                let slot = SLOTS.get(usize::from(status.as_u16()) - 100);
                slot.map_or(NONE - 1, |slot| usize::from(*slot))
            }
        };
        self.0[slot].increment();
    }

    pub(super) fn value(&self, slot: usize) -> u64 {
        self.0[slot].value()
    }
}

/// Answers by gRPC status.
#[derive(Debug, Default)]
pub(super) struct GrpcStatuses([Counter; GRPC_LAST as usize + 2]);

impl GrpcStatuses {
    /// Every label with the place of its counter.
    pub(super) fn labels() -> impl Iterator<Item = (usize, String)> {
        let defined = (0..=GRPC_LAST).map(|status| status.to_string());
        defined.chain(["other".to_owned()]).enumerate()
    }

    pub(super) fn count(&self, status: u32) {
        self.0[status.min(u32::from(GRPC_LAST) + 1) as usize].increment();
    }

    pub(super) fn value(&self, slot: usize) -> u64 {
        self.0[slot].value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label_of(status: Option<u16>) -> String {
        let statuses = Statuses::default();
        statuses.count(status.map(|status| StatusCode::from_u16(status).unwrap()));
        Statuses::labels()
            .find(|(slot, _)| statuses.value(*slot) == 1)
            .unwrap()
            .1
    }

    #[test]
    fn every_registered_status_has_its_own_counter() {
        for status in REGISTERED {
            assert_eq!(label_of(Some(status)), status.to_string());
        }
    }

    #[test]
    fn other_statuses_are_counted_by_class() {
        let labels = [199, 299, 399, 418, 599, 600, 999].map(|status| label_of(Some(status)));
        assert_eq!(labels, ["1xx", "2xx", "3xx", "4xx", "5xx", "other", "other"]);
        assert_eq!(label_of(None), "none");
    }

    #[test]
    fn grpc_statuses_beyond_the_last_are_other() {
        let statuses = GrpcStatuses::default();
        for status in [0, 16, 17, u32::MAX] {
            statuses.count(status);
        }
        let seen: Vec<(String, u64)> = GrpcStatuses::labels()
            .map(|(slot, label)| (label, statuses.value(slot)))
            .filter(|(_, count)| *count > 0)
            .collect();
        assert_eq!(
            seen,
            [("0".to_owned(), 1), ("16".to_owned(), 1), ("other".to_owned(), 2)]
        );
    }
}
