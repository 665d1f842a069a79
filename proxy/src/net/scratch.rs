//! The read buffer of a thread: every connection of a worker reads into the same one, so that an idle connection
//! holds none.
//!
//! It is lent for one `poll` only. What a socket did not take is copied ([`crate::net::unsent`]).

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use tokio::io::AsyncRead;
use tokio::io::ReadBuf;

/// Size of the buffer in bytes. Buffers of 8 KiB double the CPU of a 16 KiB body; above 128 KiB nothing more is gained.
pub const SCRATCH: usize = 128 * 1024;

/// What a connection may hold for a slow reader, unless it is said otherwise.
const READ: usize = 64 * 1024;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static MOST: Cell<usize> = const { Cell::new(READ) };
}

/// Bounds what this thread reads at a time, from now on: what a reader does not take is one read at most.
pub fn limit(bytes: usize) {
    MOST.set(bytes.clamp(1, SCRATCH));
}

/// The most that this thread reads at a time.
pub fn most() -> usize {
    MOST.get()
}

/// Lends the thread's buffer, [`SCRATCH`] bytes of earlier reads.
///
/// A nested call gets a buffer of its own, freed on return: correct, but it allocates.
pub fn with_scratch<R>(borrow: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut buffer = BUFFER.take();
    if buffer.is_empty() {
        buffer = vec![0; SCRATCH];
    }
    let result = borrow(&mut buffer);
    BUFFER.set(buffer);
    result
}

/// Reads once, at most `limit` bytes and no more than this thread may ([`limit`]), and shows them to `look`; an empty slice is the end of the stream.
///
/// It goes through `poll_read`, because tokio then takes a short read as the sign that the socket is empty:
/// 4.2 syscalls a request where `try_read`, which must see `EAGAIN`, makes 6.3.
///
/// A `limit` of zero reads nothing and would look like the end of the stream: it counts as one.
pub fn poll_read_scratch<S: AsyncRead + Unpin, R>(
    stream: &mut S,
    cx: &mut Context<'_>,
    limit: usize,
    look: impl FnOnce(&mut Context<'_>, &mut [u8]) -> R,
) -> Poll<io::Result<R>> {
    with_scratch(|scratch| {
        let limit = limit.clamp(1, most());
        let mut buffer = ReadBuf::new(&mut scratch[..limit]);
        ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(look(cx, buffer.filled_mut())))
    })
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncWriteExt;

    use super::*;

    #[test]
    fn a_nested_borrow_does_not_touch_the_outer_one() {
        with_scratch(|outer| {
            outer[0] = 1;
            with_scratch(|inner| inner[0] = 2);
            assert_eq!(outer[0], 1);
            assert_eq!(outer.len(), SCRATCH);
        });
    }

    #[tokio::test]
    async fn a_read_is_no_larger_than_its_thread_may_make() {
        limit(3);
        let (mut near, mut far) = tokio::io::duplex(64);
        far.write_all(b"abcdef").await.unwrap();
        let read = poll_fn(|cx| poll_read_scratch(&mut near, cx, SCRATCH, |_, bytes| bytes.len())).await;
        assert_eq!(read.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_read_stays_within_its_limit_and_the_end_is_empty() {
        let (mut near, mut far) = tokio::io::duplex(64);
        far.write_all(b"abcdef").await.unwrap();
        drop(far);
        let mut seen = Vec::new();
        for limit in [4, 0, 64, 64] {
            let bytes = poll_fn(|cx| poll_read_scratch(&mut near, cx, limit, |_, bytes| bytes.to_vec())).await;
            seen.push(bytes.unwrap());
        }
        assert_eq!(seen, [b"abcd".as_slice(), b"e", b"f", b""]);
    }
}
