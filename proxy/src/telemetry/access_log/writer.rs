//! The thread that writes lines, and where they wait for it.
//!
//! Each worker has a place of its own for its lines, whose lock only the writer ever wants as well. The writer takes all that
//! waits a few milliseconds after the first line, so that a busy worker wakes nobody. A reader who is slow or gone costs lines,
//! which are counted, and never a worker's time.

use std::io;
use std::io::Write;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::thread::Thread;
use std::time::Duration;
use std::time::Instant;

/// What waits of one worker: a second of three thousand requests. A line is rarely longer than 500 bytes.
pub(super) const WAITING: usize = 1 << 20;
/// From the first line to the write, so that others come with it.
const GATHER: Duration = Duration::from_millis(5);
/// Before the next try after a failure: stdout may be a pipe that does not block, or a file on a disk that is full.
const PAUSE: Duration = Duration::from_millis(20);

/// The way to the writer.
#[derive(Debug)]
pub(super) struct Queue {
    shared: Arc<Shared>,
    writer: Thread,
}

/// What the writer and the workers know.
#[derive(Debug, Default)]
struct Shared {
    slots: Mutex<Vec<Arc<Slot>>>,
    /// The writer waits to be woken.
    idle: AtomicBool,
    /// There will be no further line.
    closed: AtomicBool,
    dropped: AtomicU64,
    /// How often somebody has asked for all to be written, and how many of them have got it.
    flushes: Mutex<(u64, u64)>,
    flushed: Condvar,
}

/// Lines of one worker.
#[derive(Debug, Default)]
pub(super) struct Slot(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    bytes: Vec<u8>,
    count: u64,
}

impl Queue {
    pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<Arc<Self>> {
        let shared = Arc::new(Shared::default());
        let of_writer = Arc::clone(&shared);
        let thread = thread::Builder::new().name("access-log".to_owned());
        let writer = thread.spawn(move || of_writer.write(out))?.thread().clone();
        Ok(Arc::new(Self { shared, writer }))
    }

    /// A place for the lines of one more worker.
    pub(super) fn slot(&self) -> Arc<Slot> {
        let slot = Arc::default();
        locked(&self.shared.slots).push(Arc::clone(&slot));
        slot
    }

    pub(super) fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Lets `write` append a line, if there is room.
    pub(super) fn write(&self, slot: &Slot, write: impl FnOnce(&mut Vec<u8>)) {
        {
            let mut lines = locked(&slot.0);
            if lines.bytes.len() >= WAITING {
                self.shared.dropped.fetch_add(1, Ordering::Relaxed);
                return;
            }
            write(&mut lines.bytes);
            lines.count += 1;
        }
        // The writer says that it is idle before it looks into this slot, so that one of the two sees the other.
        if self.shared.idle.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    pub(super) fn flush(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut flushes = locked(&self.shared.flushes);
        flushes.0 += 1;
        let ours = flushes.0;
        self.wake();
        while flushes.1 < ours {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.shared.flushed.wait_timeout(flushes, left);
            flushes = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn wake(&self) {
        self.shared.idle.store(false, Ordering::Relaxed);
        self.writer.unpark();
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        self.wake();
    }
}

impl Shared {
    fn write(&self, mut out: impl Write) {
        let mut batch = Lines::default();
        loop {
            let closed = self.closed.load(Ordering::Relaxed);
            let asked = locked(&self.flushes).0;
            let slots = locked(&self.slots).clone();
            for slot in slots {
                std::mem::swap(&mut *locked(&slot.0), &mut batch);
                if !batch.bytes.is_empty() && !write_all(&mut out, &batch.bytes) {
                    self.dropped.fetch_add(batch.count, Ordering::Relaxed);
                }
                batch.bytes.clear();
                batch.count = 0;
            }
            let mut flushes = locked(&self.flushes);
            if flushes.1 < asked {
                flushes.1 = asked;
                self.flushed.notify_all();
            }
            drop(flushes);
            if closed {
                return;
            }
            self.wait();
        }
    }

    /// Until there is something to do, and then for what comes with it.
    fn wait(&self) {
        loop {
            self.idle.store(true, Ordering::Relaxed);
            let waits = locked(&self.slots).iter().any(|slot| locked(&slot.0).count > 0);
            let flushes = *locked(&self.flushes);
            if flushes.0 > flushes.1 || self.closed.load(Ordering::Relaxed) {
                break;
            }
            if waits {
                self.idle.store(false, Ordering::Relaxed);
                thread::sleep(GATHER);
                return;
            }
            thread::park();
        }
        self.idle.store(false, Ordering::Relaxed);
    }
}

/// Who panics with a lock leaves whole lines behind, or the beginning of one.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes all of it, or says that it cannot.
fn write_all(out: &mut impl Write, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return false,
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
            Err(_) => {
                thread::sleep(PAUSE);
                return false;
            }
        }
    }
    out.flush().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::Receiver;
    use std::sync::mpsc::Sender;
    use std::sync::mpsc::channel;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A reader who takes nothing until it is told to, and tells when it is asked to.
    struct Slow {
        asked: Sender<()>,
        go: Receiver<()>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.asked.send(());
            // An error: nobody holds it back any more.
            let _ = self.go.recv();
            self.taken.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn send(queue: &Queue, slot: &Slot, line: &[u8]) {
        queue.write(slot, |out| out.extend_from_slice(line));
    }

    #[test]
    fn lines_that_a_slow_reader_leaves_no_room_for_are_counted_and_the_others_come_out_in_order() {
        let ((asked, asks), (go, hold)) = (channel(), channel());
        let taken = Arc::new(Mutex::new(Vec::new()));
        let reader = Slow {
            asked,
            go: hold,
            taken: Arc::clone(&taken),
        };
        let queue = Queue::start(reader).unwrap();
        let slot = queue.slot();
        send(&queue, &slot, b"first\n");
        asks.recv().unwrap();
        // Each has 64 bytes.
        let line = |number: usize| format!("{number:063}\n").into_bytes();
        let room = WAITING / 64;
        for number in 0..room + 3 {
            send(&queue, &slot, &line(number));
        }
        assert_eq!(queue.dropped(), 3);
        drop(go);
        queue.flush(PATIENCE);
        let expected: Vec<u8> = b"first\n".iter().copied().chain((0..room).flat_map(line)).collect();
        assert!(*taken.lock().unwrap() == expected);
        assert_eq!(queue.dropped(), 3);
    }

    #[test]
    fn lines_of_all_workers_are_written_also_those_of_the_last_moment() {
        let ((asked, _asks), (go, hold)) = (channel(), channel::<()>());
        drop(go);
        let taken = Arc::new(Mutex::new(Vec::new()));
        let reader = Slow {
            asked,
            go: hold,
            taken: Arc::clone(&taken),
        };
        let queue = Queue::start(reader).unwrap();
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let (queue, slot) = (Arc::clone(&queue), queue.slot());
                thread::spawn(move || (0..1_000).for_each(|_| send(&queue, &slot, b"line\n")))
            })
            .collect();
        for worker in workers {
            worker.join().unwrap();
        }
        queue.flush(PATIENCE);
        assert_eq!(taken.lock().unwrap().len(), 4 * 1_000 * 5);
        assert_eq!(queue.dropped(), 0);
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted() {
        let queue = Queue::start(Full).unwrap();
        let slot = queue.slot();
        send(&queue, &slot, b"one\n");
        queue.flush(PATIENCE);
        assert_eq!(queue.dropped(), 1);
    }

    #[test]
    fn the_end_does_not_wait_for_a_reader_for_ever() {
        let ((asked, asks), (go, hold)) = (channel(), channel());
        let reader = Slow {
            asked,
            go: hold,
            taken: Arc::default(),
        };
        let queue = Queue::start(reader).unwrap();
        let slot = queue.slot();
        send(&queue, &slot, b"first\n");
        asks.recv().unwrap();
        let began = Instant::now();
        queue.flush(Duration::from_millis(50));
        assert!(began.elapsed() < PATIENCE);
        drop(go);
    }
}
