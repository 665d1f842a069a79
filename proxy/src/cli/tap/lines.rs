//! Lines on their way to a reader who may be away, as behind a pager that waits: a thread may block on it, and nobody else.

use std::cell::Cell;
use std::io;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

/// Bytes that wait for the reader.
const WAITING: usize = 4 << 20;
/// What a line that waits costs besides its text.
const OF_EACH: usize = 64;

/// The way there.
#[derive(Debug)]
pub(super) struct Lines {
    queue: mpsc::UnboundedSender<(String, OwnedSemaphorePermit)>,
    /// Its permits are the bytes that there is room for.
    room: Arc<Semaphore>,
    taken: Cell<u64>,
    written: Arc<AtomicU64>,
    end: oneshot::Receiver<()>,
}

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// It is written as soon as somebody reads.
    Taken,
    /// So much waits that there is no room for it.
    Lost,
    /// Nobody will read it.
    Gone,
}

impl Lines {
    /// To `out`.
    pub(super) fn start(mut out: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, mut lines) = mpsc::unbounded_channel::<(String, OwnedSemaphorePermit)>();
        let (done, end) = oneshot::channel();
        let written = Arc::<AtomicU64>::default();
        let count = Arc::clone(&written);
        thread::Builder::new().name("lines".to_owned()).spawn(move || {
            while let Some((line, _place)) = lines.blocking_recv() {
                if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
                    break;
                }
                count.fetch_add(1, Ordering::Relaxed);
            }
            // Nobody waits for it where the reader was away for too long.
            let _ = done.send(());
        })?;
        Ok(Self {
            queue,
            room: Arc::new(Semaphore::new(WAITING)),
            taken: Cell::new(0),
            written,
            end,
        })
    }

    /// Shows a line, which ends with a line feed.
    pub(super) fn show(&self, line: String) -> Shown {
        let bytes = u32::try_from(line.len() + OF_EACH).unwrap_or(u32::MAX);
        let Ok(place) = Arc::clone(&self.room).try_acquire_many_owned(bytes) else {
            return Shown::Lost;
        };
        match self.queue.send((line, place)) {
            Ok(()) => {
                self.taken.set(self.taken.get() + 1);
                Shown::Taken
            }
            Err(_) => Shown::Gone,
        }
    }

    /// Waits until nobody reads any more, as far as a line has found out.
    pub(super) async fn gone(&self) {
        self.queue.closed().await;
    }

    /// Waits until all of them are written, or nobody reads any more, or `enough`. Returns how many are not.
    pub(super) async fn end(self, enough: impl Future<Output = ()>) -> u64 {
        drop(self.queue);
        tokio::select! {
            // An error: the thread has ended, too.
            _ = self.end => {}
            () = enough => {}
        }
        self.taken.get() - self.written.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use std::future::ready;
    use std::sync::Mutex;
    use std::sync::mpsc::Receiver;
    use std::sync::mpsc::Sender;
    use std::sync::mpsc::channel;

    /// A reader who is away until he is called.
    struct Away {
        asked: Sender<()>,
        back: Receiver<()>,
        read: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Away {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.asked.send(());
            // An error: he is back for good.
            let _ = self.back.recv();
            self.read.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_reader_who_is_away_costs_lines_and_nobody_waits_for_him() {
        let ((asked, asks), (call, back)) = (channel(), channel());
        let read = Arc::new(Mutex::new(Vec::new()));
        let lines = Lines::start(Away {
            asked,
            back,
            read: Arc::clone(&read),
        });
        let lines = lines.unwrap();
        assert_eq!(lines.show("first\n".to_owned()), Shown::Taken);
        asks.recv().unwrap();
        let long = format!("{}\n", "m".repeat(WAITING / 4));
        for _ in 0..3 {
            assert_eq!(lines.show(long.clone()), Shown::Taken);
        }
        assert_eq!(lines.show(long.clone()), Shown::Lost);
        assert_eq!(lines.show("last\n".to_owned()), Shown::Taken);
        drop(call);
        assert_eq!(lines.end(pending()).await, 0);
        let expected = format!("first\n{}last\n", long.repeat(3));
        assert_eq!(String::from_utf8(read.lock().unwrap().clone()).unwrap(), expected);
    }

    #[tokio::test]
    async fn lines_that_nobody_has_read_are_counted_when_there_was_enough() {
        let ((asked, asks), (_call, back)) = (channel(), channel());
        let read = Arc::default();
        let lines = Lines::start(Away { asked, back, read }).unwrap();
        for _ in 0..3 {
            assert_eq!(lines.show("more\n".to_owned()), Shown::Taken);
        }
        asks.recv().unwrap();
        assert_eq!(lines.end(ready(())).await, 3);
    }

    #[tokio::test]
    async fn a_reader_who_is_gone_is_noticed() {
        let lines = Lines::start(Closed).unwrap();
        assert_eq!(lines.show("one\n".to_owned()), Shown::Taken);
        lines.gone().await;
        assert_eq!(lines.show("two\n".to_owned()), Shown::Gone);
        assert_eq!(lines.end(pending()).await, 1);
    }
}
