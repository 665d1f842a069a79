//! Lines on their way to a reader who may be away, as behind a pager that waits: a thread may block on it, and nobody else.

use std::io;
use std::io::Write;
use std::thread;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;

/// Lines that wait for the reader.
const WAITING: usize = 4_096;

/// The way there.
#[derive(Debug)]
pub(super) struct Lines {
    queue: mpsc::Sender<String>,
    written: oneshot::Receiver<()>,
}

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// It is written as soon as somebody reads.
    Taken,
    /// So many wait that there is no room for it.
    Lost,
    /// Nobody will read it.
    Gone,
}

impl Lines {
    /// To `out`.
    pub(super) fn start(mut out: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, mut lines) = mpsc::channel::<String>(WAITING);
        let (done, written) = oneshot::channel();
        thread::Builder::new().name("lines".to_owned()).spawn(move || {
            while let Some(line) = lines.blocking_recv() {
                if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
                    break;
                }
            }
            // Nobody waits for it where the command was interrupted.
            let _ = done.send(());
        })?;
        Ok(Self { queue, written })
    }

    /// Shows a line, which ends with a line feed.
    pub(super) fn show(&self, line: String) -> Shown {
        match self.queue.try_send(line) {
            Ok(()) => Shown::Taken,
            Err(TrySendError::Full(_)) => Shown::Lost,
            Err(TrySendError::Closed(_)) => Shown::Gone,
        }
    }

    /// Waits until nobody reads any more, as far as a line has found out.
    pub(super) async fn gone(&self) {
        self.queue.closed().await;
    }

    /// Waits until all of them are written, or nobody reads any more.
    pub(super) async fn end(self) {
        drop(self.queue);
        // An error: the thread has ended, too.
        let _ = self.written.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
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
        for _ in 0..WAITING {
            assert_eq!(lines.show("more\n".to_owned()), Shown::Taken);
        }
        assert_eq!(lines.show("lost\n".to_owned()), Shown::Lost);
        drop(call);
        lines.end().await;
        let expected = format!("first\n{}", "more\n".repeat(WAITING));
        assert_eq!(String::from_utf8(read.lock().unwrap().clone()).unwrap(), expected);
    }

    #[tokio::test]
    async fn a_reader_who_is_gone_is_noticed() {
        let lines = Lines::start(Closed).unwrap();
        assert_eq!(lines.show("one\n".to_owned()), Shown::Taken);
        lines.gone().await;
        assert_eq!(lines.show("two\n".to_owned()), Shown::Gone);
        lines.end().await;
    }
}
