//! What a socket did not take at once, kept until it does.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use tokio::io::AsyncWrite;

use crate::net::spare;

/// Bytes on their way to one stream. It holds no memory while empty.
#[derive(Debug, Default)]
pub struct Unsent {
    bytes: Vec<u8>,
    sent: usize,
}

impl Unsent {
    /// Begins with bytes that are to go out before any other.
    pub fn starting_with(bytes: Vec<u8>) -> Self {
        Self { bytes, sent: 0 }
    }

    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Whether everything was taken.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes what the stream takes now and keeps the rest; `cx` is woken when it takes more.
    ///
    /// It never refuses: to bound memory, read no more from the other side until [`Self::poll_drain`] is ready.
    pub fn send<S: AsyncWrite + Unpin>(&mut self, cx: &mut Context<'_>, to: &mut S, bytes: &[u8]) -> io::Result<()> {
        let mut taken = 0;
        if self.is_empty() && !bytes.is_empty() {
            match Pin::new(to).poll_write(cx, bytes) {
                Poll::Ready(count) => taken = count?,
                Poll::Pending => {}
            }
        }
        if taken < bytes.len() {
            if self.bytes.capacity() == 0 {
                self.bytes = spare::take();
            }
            self.bytes.extend_from_slice(&bytes[taken..]);
        }
        Ok(())
    }

    /// Writes until nothing waits; then the memory is given back.
    pub fn poll_drain<S: AsyncWrite + Unpin>(&mut self, cx: &mut Context<'_>, to: &mut S) -> Poll<io::Result<()>> {
        while self.sent < self.bytes.len() {
            match ready!(Pin::new(&mut *to).poll_write(cx, &self.bytes[self.sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.sent += count,
            }
        }
        self.release();
        Poll::Ready(Ok(()))
    }

    fn release(&mut self) {
        self.sent = 0;
        spare::give(std::mem::take(&mut self.bytes));
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn only_what_was_not_taken_is_kept_and_order_holds() {
        let (mut near, mut far) = tokio::io::duplex(4);
        let mut unsent = Unsent::default();
        poll_fn(|cx| Poll::Ready(unsent.send(cx, &mut near, b"abcdef")))
            .await
            .unwrap();
        assert_eq!(unsent.len(), 2);
        poll_fn(|cx| Poll::Ready(unsent.send(cx, &mut near, b"gh")))
            .await
            .unwrap();
        assert_eq!(unsent.len(), 4);

        let mut first = [0; 4];
        far.read_exact(&mut first).await.unwrap();
        poll_fn(|cx| unsent.poll_drain(cx, &mut near)).await.unwrap();
        let mut second = [0; 4];
        far.read_exact(&mut second).await.unwrap();
        assert_eq!((&first, &second), (b"abcd", b"efgh"));
        assert_eq!(unsent.bytes.capacity(), 0);
    }
}
