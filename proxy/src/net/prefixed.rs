//! A stream whose first bytes were already read, for readers (the `h2` crate) that want them from the stream itself.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;

use crate::net::spare;
use crate::net::stream::Stream;

/// The stream and the bytes that come before it.
#[derive(Debug)]
pub struct Prefixed {
    stream: Stream,
    prefix: Vec<u8>,
    served: usize,
}

impl Prefixed {
    /// Puts `prefix` in front of what `stream` still holds; its memory goes back to [`spare`] once read.
    pub fn new(stream: Stream, prefix: Vec<u8>) -> Self {
        Self {
            stream,
            prefix,
            served: 0,
        }
    }

    /// The stream underneath.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// The stream and what was not read of the prefix.
    pub fn into_parts(mut self) -> (Stream, Vec<u8>) {
        self.prefix.drain(..self.served);
        (self.stream, self.prefix)
    }
}

impl AsyncRead for Prefixed {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let rest = &this.prefix[this.served..];
        if rest.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buffer);
        }
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..count]);
        this.served += count;
        if this.served == this.prefix.len() {
            this.served = 0;
            spare::give(std::mem::take(&mut this.prefix));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices)
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

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn the_prefix_is_read_first_and_then_the_stream() {
        let (near, mut far) = tokio::io::duplex(64);
        far.write_all(b" world").await.unwrap();
        far.shutdown().await.unwrap();

        let mut prefixed = Prefixed::new(Stream::from(near), b"hello".to_vec());
        let mut start = [0; 2];
        prefixed.read_exact(&mut start).await.unwrap();
        let mut rest = Vec::new();
        prefixed.read_to_end(&mut rest).await.unwrap();
        assert_eq!((&start, rest.as_slice()), (b"he", b"llo world".as_slice()));
    }

    #[tokio::test]
    async fn the_parts_hold_what_was_not_read() {
        let (near, _far) = tokio::io::duplex(64);
        let mut prefixed = Prefixed::new(Stream::from(near), b"hello".to_vec());
        let mut start = [0; 2];
        prefixed.read_exact(&mut start).await.unwrap();
        assert_eq!(prefixed.into_parts().1, b"llo");
    }
}
