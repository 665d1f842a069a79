//! One direction: reads from one stream, writes to another, keeps at most one read of what was not taken.
//!
//! A relay is two of these; an HTTP body that is passed on unchanged is one.

use std::io;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use crate::net::scratch::poll_read_scratch;
use crate::net::spare;
use crate::net::splice::Filled;
use crate::net::splice::Splice;
use crate::net::stream::Stream;
use crate::net::unsent::Unsent;

/// Largest read, and so the most bytes that wait for a slow reader.
pub const LARGEST_READ: usize = 64 * 1024;

/// Reads in one poll before the other connections of the worker have their turn: half a MiB copied takes about 100 us.
const READS_A_TURN: u32 = 8;

/// Why a pump finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything asked for was delivered.
    Complete,
    /// The source ended, and what it had sent was delivered. For a body of known length that is a truncation.
    Eof,
}

/// Which end of a pump failed.
#[derive(Debug)]
pub enum Broken {
    /// The source, on a read.
    From(io::Error),
    /// The destination, on a write.
    To(io::Error),
}

/// What an inspector makes of the bytes just read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// They all belong; more is to come.
    All,
    /// The first so many are the last that belong. The rest is kept as leftover.
    Last(usize),
}

/// One direction of bytes.
#[derive(Debug, Default)]
pub struct Pump {
    unsent: Unsent,
    splice: Splice,
    /// Bytes taken from the source (or given at the start) so far.
    read: u64,
    /// Bytes that may still be read, where the length is known.
    remaining: Option<u64>,
    ended: Option<Ended>,
    leftover: Vec<u8>,
}

impl Pump {
    /// Moves whatever comes until the source ends.
    pub fn until_eof() -> Self {
        Self::default()
    }

    /// Moves exactly `length` bytes and never reads beyond them.
    pub fn exactly(length: u64) -> Self {
        Self {
            remaining: Some(length),
            ended: (length == 0).then_some(Ended::Complete),
            ..Self::default()
        }
    }

    /// Delivers `early` first: bytes of the source that were read before.
    pub fn starting_with(early: Vec<u8>) -> Self {
        Self {
            read: early.len() as u64,
            unsent: Unsent::starting_with(early),
            ..Self::default()
        }
    }

    /// Bytes that the destination has taken.
    pub fn moved(&self) -> u64 {
        self.read - self.waiting() as u64
    }

    /// Bytes that wait here, and not in a pipe.
    pub fn buffered(&self) -> usize {
        self.unsent.len()
    }

    /// Bytes read that the destination has not taken: at most [`LARGEST_READ`] in memory, or one pipe in the kernel.
    pub fn waiting(&self) -> usize {
        self.unsent.len() + self.splice.waiting()
    }

    /// What was read beyond [`Take::Last`]; empty afterwards.
    pub fn take_leftover(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.leftover)
    }

    /// Moves bytes unseen. Large flows between two sockets leave user space (see [`crate::net::splice`]).
    pub fn poll(&mut self, cx: &mut Context<'_>, from: &mut Stream, to: &mut Stream) -> Poll<Result<Ended, Broken>> {
        for _ in 0..READS_A_TURN {
            ready!(self.poll_drain(cx, to))?;
            if let Some(ended) = self.ended {
                return Poll::Ready(Ok(ended));
            }
            if self.splice.wanted()
                && let (Stream::Tcp(source), Stream::Tcp(_)) = (&*from, &*to)
            {
                match ready!(self.splice.poll_fill(cx, source, self.remaining)).map_err(Broken::From)? {
                    Filled::Bytes(count) => self.count(count),
                    Filled::Eof => self.ended = Some(Ended::Eof),
                    Filled::NoPipe => ready!(self.poll_copy(cx, from, to))?,
                }
            } else {
                ready!(self.poll_copy(cx, from, to))?;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Moves bytes that `inspect` sees first, until it says which are the last. It may change them in place.
    pub fn poll_inspected(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        mut inspect: impl FnMut(&mut [u8]) -> Take,
    ) -> Poll<Result<Ended, Broken>> {
        for _ in 0..READS_A_TURN {
            ready!(self.poll_drain(cx, to))?;
            if let Some(ended) = self.ended {
                return Poll::Ready(Ok(ended));
            }
            ready!(self.poll_copy_inspected(cx, from, to, &mut inspect))?;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>, to: &mut Stream) -> Poll<Result<(), Broken>> {
        ready!(self.unsent.poll_drain(cx, to)).map_err(Broken::To)?;
        match to {
            Stream::Tcp(socket) => self.splice.poll_drain(cx, socket).map_err(Broken::To),
            Stream::Local(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_copy(&mut self, cx: &mut Context<'_>, from: &mut Stream, to: &mut Stream) -> Poll<Result<(), Broken>> {
        let limit = self
            .remaining
            .map_or(LARGEST_READ, |remaining| remaining.min(LARGEST_READ as u64) as usize);
        let unsent = &mut self.unsent;
        let read = poll_read_scratch(from, cx, limit, |cx, bytes| {
            let sent = unsent.send(cx, to, bytes);
            sent.map(|()| bytes.len())
        });
        match ready!(read).map_err(Broken::From)?.map_err(Broken::To)? {
            0 => self.ended = Some(Ended::Eof),
            count => {
                self.count(count);
                self.splice.note_copied(count);
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_copy_inspected(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        inspect: &mut impl FnMut(&mut [u8]) -> Take,
    ) -> Poll<Result<(), Broken>> {
        let Self {
            unsent,
            ended,
            leftover,
            read,
            ..
        } = self;
        let sent = poll_read_scratch(from, cx, LARGEST_READ, |cx, bytes| {
            if bytes.is_empty() {
                *ended = Some(Ended::Eof);
                return Ok(());
            }
            let mut belongs = bytes.len();
            if let Take::Last(count) = inspect(bytes) {
                *ended = Some(Ended::Complete);
                belongs = count.min(bytes.len());
                if belongs < bytes.len() {
                    *leftover = spare::take();
                    leftover.extend_from_slice(&bytes[belongs..]);
                }
            }
            *read += belongs as u64;
            unsent.send(cx, to, &bytes[..belongs])
        });
        Poll::Ready(ready!(sent).map_err(Broken::From)?.map_err(Broken::To))
    }

    fn count(&mut self, count: usize) {
        self.read += count as u64;
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining.saturating_sub(count as u64);
            if *remaining == 0 {
                self.ended = Some(Ended::Complete);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;
    use tokio::io::duplex;

    use super::*;
    use crate::net::testing::FAMILIES;
    use crate::net::testing::read_pattern;
    use crate::net::testing::tcp_pair;
    use crate::net::testing::write_pattern;

    async fn run(pump: &mut Pump, from: &mut Stream, to: &mut Stream) -> Ended {
        poll_fn(|cx| pump.poll(cx, from, to)).await.unwrap()
    }

    #[tokio::test]
    async fn a_reader_that_reads_nothing_makes_one_read_wait_and_no_more() {
        let (mut source, from) = duplex(1 << 20);
        let (to, _reader) = duplex(1000);
        let (mut from, mut to) = (Stream::from(from), Stream::from(to));
        source.write_all(&vec![7; 1 << 20]).await.unwrap();
        let mut pump = Pump::until_eof();
        for _ in 0..100 {
            assert!(
                poll_fn(|cx| Poll::Ready(pump.poll(cx, &mut from, &mut to)))
                    .await
                    .is_pending()
            );
            assert!(pump.waiting() <= LARGEST_READ);
        }
        assert_eq!(pump.waiting(), LARGEST_READ - 1000);
        assert_eq!(pump.moved(), 1000);
    }

    #[tokio::test]
    async fn a_large_flow_between_sockets_goes_through_a_pipe_and_stops_at_its_length() {
        const LENGTH: usize = 16 * 1024 * 1024 + 5;
        let (mut source, from) = tcp_pair(FAMILIES[0]).await;
        let (to, mut reader) = tcp_pair(FAMILIES[0]).await;
        let (mut from, mut to) = (Stream::Tcp(from), Stream::Tcp(to));
        let mut pump = Pump::exactly(LENGTH as u64);
        let mut most_in_pipe = 0;
        let pumping = async {
            let ended = poll_fn(|cx| {
                let ended = pump.poll(cx, &mut from, &mut to);
                most_in_pipe = most_in_pipe.max(pump.splice.waiting());
                ended
            })
            .await;
            to.shutdown().await.unwrap();
            ended.unwrap()
        };
        let writing = async {
            write_pattern(&mut source, LENGTH + 3).await;
        };
        let (ended, (count, _), ()) = tokio::join!(pumping, read_pattern(&mut reader), writing);
        assert_eq!((ended, count), (Ended::Complete, LENGTH));
        assert!(most_in_pipe > 0, "it never spliced");
        let mut rest = Vec::new();
        from.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest.len(), 3, "what follows the body was left in the socket");
    }

    #[tokio::test]
    async fn a_source_that_ends_before_its_length_is_told_apart() {
        let (mut source, from) = duplex(64);
        let (to, mut reader) = duplex(64);
        source.write_all(b"half").await.unwrap();
        drop(source);
        let mut pump = Pump::exactly(8);
        let ended = run(&mut pump, &mut Stream::from(from), &mut Stream::from(to)).await;
        assert_eq!((ended, pump.moved()), (Ended::Eof, 4));
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(bytes, b"half");
    }

    #[tokio::test]
    async fn a_body_without_bytes_is_complete_before_anything_is_read() {
        let (_source, from) = duplex(64);
        let (to, _reader) = duplex(64);
        let ended = run(&mut Pump::exactly(0), &mut Stream::from(from), &mut Stream::from(to)).await;
        assert_eq!(ended, Ended::Complete);
    }

    #[tokio::test]
    async fn an_inspector_decides_where_the_body_ends_and_the_rest_is_kept() {
        let (mut source, from) = duplex(64);
        let (to, mut reader) = duplex(64);
        let (mut from, mut to) = (Stream::from(from), Stream::from(to));
        source.write_all(b"body.next").await.unwrap();
        let mut pump = Pump::until_eof();
        let ended = poll_fn(|cx| {
            pump.poll_inspected(cx, &mut from, &mut to, |bytes| {
                let dot = bytes.iter().position(|byte| *byte == b'.');
                dot.map_or(Take::All, |dot| Take::Last(dot + 1))
            })
        });
        assert_eq!(ended.await.unwrap(), Ended::Complete);
        assert_eq!(pump.take_leftover(), b"next");
        drop(to);
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(bytes, b"body.");
    }

    #[tokio::test]
    async fn a_flow_that_could_go_on_yields_after_a_few_reads_and_asks_to_be_polled_again() {
        const TOTAL: usize = 2 * READS_A_TURN as usize * LARGEST_READ;
        let (mut source, from) = duplex(TOTAL);
        let (to, _reader) = duplex(TOTAL);
        let (mut from, mut to) = (Stream::from(from), Stream::from(to));
        source.write_all(&vec![7; TOTAL]).await.unwrap();
        drop(source);
        let mut pump = Pump::until_eof();
        let mut turns = Vec::new();
        poll_fn(|cx| {
            let ended = pump.poll(cx, &mut from, &mut to);
            turns.push(pump.moved());
            ended
        })
        .await
        .unwrap();
        assert_eq!(turns, [TOTAL as u64 / 2, TOTAL as u64, TOTAL as u64]);
    }
}
