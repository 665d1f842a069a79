//! The in-process stream of a pod that calls itself: a pair of ends, with a reset that a plain pipe does not have.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::DuplexStream;
use tokio::io::ReadBuf;

/// One end of an in-process stream.
#[derive(Debug)]
pub struct Local {
    stream: DuplexStream,
    /// Set by the end that resets, read by the other.
    reset: Arc<AtomicBool>,
}

impl Local {
    /// Both ends; each holds `buffer` bytes for a reader that is behind.
    pub fn pair(buffer: usize) -> (Self, Self) {
        let (near, far) = tokio::io::duplex(buffer);
        let reset = Arc::new(AtomicBool::new(false));
        let far = Self {
            stream: far,
            reset: Arc::clone(&reset),
        };
        (Self { stream: near, reset }, far)
    }

    /// The other end reads `ECONNRESET` once this one is dropped, and not a clean end.
    pub(super) fn reset_when_dropped(&self) {
        self.reset.store(true, Ordering::Relaxed);
    }

    fn error(&self, error: io::Error) -> io::Error {
        if self.reset.load(Ordering::Relaxed) {
            io::ErrorKind::ConnectionReset.into()
        } else {
            error
        }
    }
}

impl AsyncRead for Local {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        let ended = matches!(read, Poll::Ready(Ok(()))) && buffer.filled().len() == before && buffer.remaining() > 0;
        if ended && this.reset.load(Ordering::Relaxed) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        read
    }
}

impl AsyncWrite for Local {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        Pin::new(&mut this.stream)
            .poll_write(cx, bytes)
            .map_err(|error| this.error(error))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        Pin::new(&mut this.stream)
            .poll_write_vectored(cx, slices)
            .map_err(|error| this.error(error))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// One end of a pair whose other end knows no reset.
impl From<DuplexStream> for Local {
    fn from(stream: DuplexStream) -> Self {
        Self {
            stream,
            reset: Arc::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn a_reset_is_read_as_one_after_what_was_sent() {
        let (mut near, mut far) = Local::pair(64);
        far.write_all(b"last words").await.unwrap();
        far.reset_when_dropped();
        drop(far);
        let mut words = [0; 10];
        near.read_exact(&mut words).await.unwrap();
        assert_eq!(&words, b"last words");
        assert_eq!(
            near.read(&mut words).await.unwrap_err().kind(),
            io::ErrorKind::ConnectionReset
        );
        assert_eq!(
            near.write(b"x").await.unwrap_err().kind(),
            io::ErrorKind::ConnectionReset
        );
    }

    #[tokio::test]
    async fn an_end_without_a_reset_is_clean() {
        let (mut near, far) = Local::pair(64);
        drop(far);
        assert_eq!(near.read(&mut [0; 4]).await.unwrap(), 0);
    }
}
