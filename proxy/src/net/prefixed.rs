//! A stream for readers that are not ours (the `h2` crate): first come the bytes that were already read, and it gives out
//! no more in one turn than leaves the other connections of the worker theirs.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::time::Instant;

use crate::net::meter::Meter;
use crate::net::spare;
use crate::net::stream::Stream;

/// Bytes that are read in one turn. A reader goes on until there is nothing, and a peer decides when that is: 100 clients
/// that flooded frames, with a MiB in every turn, made others wait 2.5 s.
const TURN: usize = 64 * 1024;

/// The stream and the bytes that come before it.
#[derive(Debug)]
pub struct Prefixed {
    stream: Stream,
    prefix: Vec<u8>,
    served: usize,
    /// Bytes that may still be read in this turn.
    left: usize,
    meter: Option<Meter>,
}

impl Prefixed {
    /// Puts `prefix` in front of what `stream` still holds; its memory goes back to [`spare`] once read.
    pub fn new(stream: Stream, prefix: Vec<u8>) -> Self {
        Self {
            stream,
            prefix,
            served: 0,
            left: TURN,
            meter: None,
        }
    }

    /// The same for HTTP/2, whose frames are weighed as they pass. A flood is an error of reading.
    pub fn metered(stream: Stream, prefix: Vec<u8>, meter: Meter) -> Self {
        Self {
            meter: Some(meter),
            ..Self::new(stream, prefix)
        }
    }

    fn weigh(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(meter) = &mut self.meter else { return Ok(()) };
        meter.received(bytes, Instant::now).map_err(io::Error::other)
    }

    fn count_sent<'a>(&mut self, slices: impl IntoIterator<Item = &'a [u8]>, written: &Poll<io::Result<usize>>) {
        if let (Some(meter), Poll::Ready(Ok(count))) = (&mut self.meter, written) {
            meter.sent(slices, *count);
        }
    }

    /// The stream underneath.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    fn poll_stream(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left == 0 {
            self.left = TURN;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        match read {
            Poll::Ready(_) => self.left = self.left.saturating_sub(buffer.filled().len() - before),
            Poll::Pending => self.left = TURN,
        }
        read
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
        let before = buffer.filled().len();
        let rest = &this.prefix[this.served..];
        if rest.is_empty() {
            ready!(this.poll_stream(cx, buffer))?;
            return Poll::Ready(this.weigh(&buffer.filled()[before..]));
        }
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..count]);
        this.served += count;
        if this.served == this.prefix.len() {
            this.served = 0;
            spare::give(std::mem::take(&mut this.prefix));
        }
        Poll::Ready(this.weigh(&buffer.filled()[before..]))
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.count_sent([bytes], &written);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.count_sent(slices.iter().map(|slice| &**slice), &written);
        written
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

    #[tokio::test]
    async fn a_turn_ends_although_more_could_be_read() {
        let (near, mut far) = tokio::io::duplex(4 * TURN);
        far.write_all(&vec![7; 4 * TURN]).await.unwrap();
        let mut prefixed = Prefixed::new(Stream::from(near), Vec::new());
        let mut bytes = vec![0; 16 * 1024];
        let mut turns = 0;
        let mut read = 0;
        while read < 4 * TURN {
            std::future::poll_fn(|cx| {
                turns += 1;
                let mut buffer = ReadBuf::new(&mut bytes);
                let mut taken = 0;
                while let Poll::Ready(result) = Pin::new(&mut prefixed).poll_read(cx, &mut buffer) {
                    result.unwrap();
                    taken += buffer.filled().len();
                    buffer.clear();
                    if read + taken == 4 * TURN {
                        break;
                    }
                }
                assert!(taken <= TURN, "{taken}");
                read += taken;
                Poll::Ready(())
            })
            .await;
        }
        assert!(turns >= 4, "{turns}");
    }
}
