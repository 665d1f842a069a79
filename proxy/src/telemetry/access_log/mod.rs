//! The access log: one line for each request and opaque connection, written when it ends.
//!
//! ```text
//! entry   what is gathered while it lives       text, json   one line of it
//! time    a moment as RFC 3339 has it           escape       bytes of a peer as text
//! ```
//!
//! Lines go through a bounded queue to a thread of their own, so that a reader of stdout who is slow or gone costs
//! lines, which are counted, and never a worker's time.

mod entry;
mod escape;
mod json;
mod text;
mod time;

pub use entry::Entry;
pub use entry::Origin;
pub(super) use entry::Outcome;
pub use time::rfc3339;

use std::io;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::TrySendError;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;
use std::time::Instant;

/// Lines that wait: a second of two thousand requests. A line is rarely longer than 500 bytes, and never than 8 KiB.
const LINES: usize = 2_048;
/// One write to stdout, more or less.
const BATCH: usize = 64 * 1024;
/// Before the next try after a failure: stdout may be a pipe that does not block, or a file on a disk that is full.
const PAUSE: Duration = Duration::from_millis(20);

/// What lines look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `key=value`, for people.
    Text,
    /// An object, for programs.
    Json,
}

/// The way to the writer, shared by all workers.
#[derive(Debug)]
pub struct AccessLog {
    format: Format,
    queue: SyncSender<Order>,
    dropped: Arc<AtomicU64>,
}

/// What the writer is told.
enum Order {
    /// Write this, newline included.
    Line(Vec<u8>),
    /// Say when everything before this was written.
    Flush(SyncSender<()>),
}

impl AccessLog {
    /// Starts the thread that writes to `out`, which may block for as long as it likes.
    pub fn start(format: Format, out: impl Write + Send + 'static) -> io::Result<Arc<Self>> {
        let (queue, orders) = sync_channel(LINES);
        let dropped = Arc::new(AtomicU64::new(0));
        let lost = Arc::clone(&dropped);
        thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || write(out, &orders, &lost))?;
        Ok(Arc::new(Self { format, queue, dropped }))
    }

    /// Lines that were not written.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits until everything so far was written, but not longer than `patience`: nobody may be reading.
    pub fn flush(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let (done, written) = sync_channel(1);
        let mut order = Order::Flush(done);
        loop {
            match self.queue.try_send(order) {
                Ok(()) => break,
                Err(TrySendError::Full(back)) if Instant::now() < deadline => order = back,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => return,
            }
            thread::sleep(PAUSE);
        }
        // An error is the end of the patience.
        let _ = written.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }

    fn send(&self, line: Vec<u8>) {
        if self.queue.try_send(Order::Line(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The writer's thread: whatever waits goes out in one write.
fn write(mut out: impl Write, orders: &Receiver<Order>, dropped: &AtomicU64) {
    let mut batch = Vec::new();
    while let Ok(first) = orders.recv() {
        let (mut next, mut lines) = (Some(first), 0);
        let mut asked = None;
        while let Some(order) = next.take() {
            match order {
                Order::Line(line) => {
                    batch.extend_from_slice(&line);
                    lines += 1;
                }
                Order::Flush(done) => asked = Some(done),
            }
            if batch.len() < BATCH && asked.is_none() {
                next = orders.try_recv().ok();
            }
        }
        if !write_all(&mut out, &batch) {
            dropped.fetch_add(lines, Ordering::Relaxed);
        }
        batch.clear();
        if let Some(done) = asked {
            // Whoever asked may have lost patience.
            let _ = done.send(());
        }
    }
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
    use std::sync::Mutex;
    use std::sync::mpsc::Sender;
    use std::sync::mpsc::channel;

    const PATIENCE: Duration = Duration::from_secs(10);

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

    #[test]
    fn lines_that_a_slow_reader_leaves_no_room_for_are_counted_and_the_others_come_out_in_order() {
        let ((asked, asks), (go, hold)) = (channel(), channel());
        let taken = Arc::new(Mutex::new(Vec::new()));
        let reader = Slow {
            asked,
            go: hold,
            taken: Arc::clone(&taken),
        };
        let log = AccessLog::start(Format::Text, reader).unwrap();
        log.send(b"first\n".to_vec());
        asks.recv().unwrap();
        for number in 0..LINES + 3 {
            log.send(format!("{number}\n").into_bytes());
        }
        assert_eq!(log.dropped(), 3);
        drop(go);
        log.flush(PATIENCE);
        let taken = String::from_utf8(taken.lock().unwrap().clone()).unwrap();
        let (first, others) = taken.split_once('\n').unwrap();
        assert_eq!(first, "first");
        assert!(
            others.lines().eq((0..LINES).map(|number| number.to_string())),
            "{others}"
        );
        assert_eq!(log.dropped(), 3);
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted() {
        let log = AccessLog::start(Format::Json, Full).unwrap();
        log.send(b"one\n".to_vec());
        log.flush(PATIENCE);
        assert_eq!(log.dropped(), 1);
    }

    #[test]
    fn the_end_does_not_wait_for_a_reader_for_ever() {
        let ((asked, asks), (go, hold)) = (channel(), channel());
        let reader = Slow {
            asked,
            go: hold,
            taken: Arc::default(),
        };
        let log = AccessLog::start(Format::Text, reader).unwrap();
        log.send(b"first\n".to_vec());
        asks.recv().unwrap();
        let began = Instant::now();
        log.flush(Duration::from_millis(50));
        assert!(began.elapsed() < PATIENCE);
        drop(go);
    }
}
