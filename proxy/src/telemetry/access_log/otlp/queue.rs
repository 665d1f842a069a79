//! Records of the workers, until the control thread takes them.
//!
//! Each worker has a place of its own, as it has for lines, so that only the control thread ever wants the same lock.

use crate::telemetry::otlp::Counts;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use tokio::sync::Notify;

/// Bytes that wait of one worker: a second of a thousand requests.
pub(super) const WAITING: usize = 1 << 20;
/// Of one worker, that are worth a message.
pub(super) const BATCH: usize = 256 << 10;
/// In front of each record: the length of its first part, and that of its line.
const LENGTHS: usize = 8;

/// All workers' records.
#[derive(Debug, Default)]
pub(in crate::telemetry::access_log) struct Queue {
    slots: Mutex<Vec<Arc<Slot>>>,
    /// There is one.
    first: Notify,
    /// There are enough for a message.
    batch: Notify,
    counts: Arc<Counts>,
}

/// Records of one worker.
#[derive(Debug, Default)]
pub(in crate::telemetry::access_log) struct Slot(Mutex<Vec<u8>>);

impl Queue {
    /// A place for the records of one more worker.
    pub(in crate::telemetry::access_log) fn slot(&self) -> Arc<Slot> {
        let slot = Arc::default();
        locked(&self.slots).push(Arc::clone(&slot));
        slot
    }

    pub(in crate::telemetry::access_log) fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// Lets a record and its line be appended, if there is room.
    pub(in crate::telemetry::access_log) fn write(
        &self,
        slot: &Slot,
        record: impl FnOnce(&mut Vec<u8>),
        line: impl FnOnce(&mut Vec<u8>),
    ) {
        let mut bytes = locked(&slot.0);
        let before = bytes.len();
        if before >= WAITING {
            self.counts.overflow();
            return;
        }
        bytes.extend_from_slice(&[0; LENGTHS]);
        record(&mut bytes);
        let middle = bytes.len();
        line(&mut bytes);
        let after = bytes.len();
        let (first, second) = (middle - before - LENGTHS, after - middle);
        bytes[before..before + 4].copy_from_slice(&(first as u32).to_ne_bytes());
        bytes[before + 4..before + LENGTHS].copy_from_slice(&(second as u32).to_ne_bytes());
        drop(bytes);
        if before == 0 {
            self.first.notify_one();
        }
        if before < BATCH && after >= BATCH {
            self.batch.notify_one();
        }
    }

    /// Waits for a record.
    pub(super) async fn first(&self) {
        self.first.notified().await;
    }

    /// Waits until there are enough for a message.
    pub(super) async fn batch(&self) {
        self.batch.notified().await;
    }

    /// What is there, of each worker.
    pub(super) fn take(&self) -> Vec<Vec<u8>> {
        let slots = locked(&self.slots);
        let taken = slots.iter().map(|slot| std::mem::take(&mut *locked(&slot.0)));
        taken.filter(|bytes| !bytes.is_empty()).collect()
    }
}

/// The records in what was taken of a worker, each with its line.
pub(super) fn records(mut bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let (first, rest) = bytes.split_first_chunk::<4>()?;
        let (second, rest) = rest.split_first_chunk::<4>()?;
        let (record, rest) = rest.split_at_checked(u32::from_ne_bytes(*first) as usize)?;
        let (line, rest) = rest.split_at_checked(u32::from_ne_bytes(*second) as usize)?;
        bytes = rest;
        Some((record, line))
    })
}

/// Who panics with a lock leaves whole records behind, or the beginning of one, which ends the reading there.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_out_as_they_went_in_and_those_without_room_are_counted() {
        let queue = Queue::default();
        let slots = [queue.slot(), queue.slot()];
        let write = |slot: &Slot, record: &[u8], line: &[u8]| {
            queue.write(
                slot,
                |out| out.extend_from_slice(record),
                |out| out.extend_from_slice(line),
            );
        };
        write(&slots[0], b"a", b"line a");
        write(&slots[1], b"", b"line b");
        write(&slots[0], b"ccc", b"");
        let taken = queue.take();
        let all: Vec<_> = taken.iter().flat_map(|bytes| records(bytes)).collect();
        assert_eq!(all, [(&b"a"[..], &b"line a"[..]), (b"ccc", b""), (b"", b"line b")]);
        assert!(queue.take().is_empty());

        let one = vec![b'x'; WAITING / 4];
        for _ in 0..6 {
            write(&slots[0], &one, b"");
        }
        assert_eq!(queue.counts.overflowed(), 2);
        assert_eq!(queue.take().iter().flat_map(|bytes| records(bytes)).count(), 4);
    }
}
