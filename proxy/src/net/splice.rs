//! Large flows between two sockets, moved by `splice(2)` through a pipe: half of the CPU of a copy, on small messages
//! two syscalls more. So a direction begins by copying and changes over after [`AFTER`] bytes of large reads, and
//! back when its reads get small again.
//!
//! A pipe is filled only when it is empty, so `EAGAIN` on filling always means an empty socket; it is drained before
//! anything else is waited for, and before the end of the stream is told. A pipe that still holds bytes when its
//! connection ends is closed, not pooled.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use nix::errno::Errno;
use nix::fcntl::FcntlArg;
use nix::fcntl::OFlag;
use nix::fcntl::SpliceFFlags;
use nix::fcntl::fcntl;
use nix::fcntl::splice;
use nix::unistd::pipe2;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Bytes of large reads, one after another, after which a direction changes over.
pub const AFTER: usize = 1024 * 1024;

/// A read of fewer bytes than this is a small one.
const LARGE: usize = 16 * 1024;

/// Small reads, one after another, after which a direction copies again.
const SMALL_IN_A_ROW: u32 = 8;

/// Capacity of a pipe in bytes.
const PIPE: usize = 256 * 1024;

/// Pipes of this process: an unprivileged uid has 64 MiB of them on the whole node, for all its processes.
const PIPES: usize = 8;

/// Pipes that exist.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// Empty pipes that nobody uses. A flow borrows one for as long as it holds bytes: the lock is taken once in 256 KiB.
static EMPTY: Mutex<Vec<Pipe>> = Mutex::new(Vec::new());

/// What came of filling the pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// So many bytes are in the pipe.
    Bytes(usize),
    /// The source has ended.
    Eof,
    /// There is no pipe to be had: copy.
    NoPipe,
}

/// The splicing of one direction.
#[derive(Debug, Default)]
pub struct Splice {
    mode: Mode,
    pipe: Option<Pipe>,
    waiting: usize,
}

#[derive(Clone, Copy, Debug)]
enum Mode {
    /// So many bytes came in large reads, one after another.
    Copying(usize),
    /// So many fillings were small, one after another.
    Splicing(u32),
    /// The system gives us no pipe of this size, or has no `splice(2)` for these sockets.
    Refused,
}

impl Default for Mode {
    fn default() -> Self {
        Self::Copying(0)
    }
}

impl Splice {
    /// Whether the next bytes should go through the pipe.
    pub fn wanted(&self) -> bool {
        matches!(self.mode, Mode::Splicing(_))
    }

    /// Bytes in the pipe.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Tells of a read that was copied.
    pub fn note_copied(&mut self, count: usize) {
        if let Mode::Copying(run) = &mut self.mode {
            *run = if count < LARGE { 0 } else { *run + count };
            if *run >= AFTER {
                self.mode = Mode::Splicing(0);
            }
        }
    }

    /// Fills the empty pipe from the socket, with at most `limit` bytes.
    pub fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
        limit: Option<u64>,
    ) -> Poll<io::Result<Filled>> {
        debug_assert_eq!(self.waiting, 0, "a pipe is filled only when it is empty");
        let limit = limit.map_or(PIPE, |limit| limit.min(PIPE as u64) as usize);
        loop {
            ready!(from.poll_read_ready(cx))?;
            let pipe = match Pipe::take() {
                Ok(pipe) => pipe,
                Err(NoPipe::AllInUse) => return Poll::Ready(Ok(Filled::NoPipe)),
                Err(NoPipe::Refused) => return Poll::Ready(Ok(self.refuse())),
            };
            let filled = from.try_io(Interest::READABLE, || Ok(splice_now(from, &pipe.input, limit)?));
            match filled {
                Ok(0) => {
                    pipe.give_back();
                    return Poll::Ready(Ok(Filled::Eof));
                }
                Ok(count) => {
                    self.pipe = Some(pipe);
                    self.waiting = count;
                    self.note_filled(count);
                    return Poll::Ready(Ok(Filled::Bytes(count)));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => pipe.give_back(),
                Err(error) if is_refusal(&error) => return Poll::Ready(Ok(self.refuse())),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Empties the pipe into the socket; then the pipe is free for others.
    pub fn poll_drain(&mut self, cx: &mut Context<'_>, to: &TcpStream) -> Poll<io::Result<()>> {
        let Some(pipe) = &self.pipe else {
            return Poll::Ready(Ok(()));
        };
        while self.waiting > 0 {
            ready!(to.poll_write_ready(cx))?;
            match to.try_io(Interest::WRITABLE, || Ok(splice_now(&pipe.output, to, self.waiting)?)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => self.waiting -= count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        if let Some(pipe) = self.pipe.take() {
            pipe.give_back();
        }
        Poll::Ready(Ok(()))
    }

    fn note_filled(&mut self, count: usize) {
        if let Mode::Splicing(small) = &mut self.mode {
            *small = if count < LARGE { *small + 1 } else { 0 };
            if *small >= SMALL_IN_A_ROW {
                self.mode = Mode::Copying(0);
            }
        }
    }

    fn refuse(&mut self) -> Filled {
        self.mode = Mode::Refused;
        Filled::NoPipe
    }
}

fn splice_now<A: std::os::fd::AsFd, B: std::os::fd::AsFd>(from: A, to: B, count: usize) -> nix::Result<usize> {
    let flags = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK;
    splice(from, None, to, None, count, flags)
}

/// A kernel without it, a sandbox that forbids it, or a kind of socket that cannot do it: nothing was moved.
fn is_refusal(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| {
        matches!(
            Errno::from_raw(code),
            Errno::EINVAL | Errno::ENOSYS | Errno::EPERM | Errno::EOPNOTSUPP
        )
    })
}

/// A pipe, counted for as long as it exists.
#[derive(Debug)]
struct Pipe {
    output: OwnedFd,
    input: OwnedFd,
    _slot: Slot,
}

/// Why there is no pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NoPipe {
    /// All of [`PIPES`] hold bytes: try again.
    AllInUse,
    /// The system gives none, or a small one.
    Refused,
}

impl Pipe {
    fn take() -> Result<Self, NoPipe> {
        let pooled = EMPTY.lock().unwrap_or_else(PoisonError::into_inner).pop();
        pooled.map_or_else(Self::open, Ok)
    }

    fn open() -> Result<Self, NoPipe> {
        let slot = Slot::take(&OPEN, PIPES).ok_or(NoPipe::AllInUse)?;
        let (output, input) = pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).map_err(|_| NoPipe::Refused)?;
        let granted = fcntl(&input, FcntlArg::F_SETPIPE_SZ(PIPE as i32)).map_err(|_| NoPipe::Refused)?;
        if granted < PIPE as i32 {
            return Err(NoPipe::Refused);
        }
        Ok(Self {
            output,
            input,
            _slot: slot,
        })
    }

    /// For an empty pipe only.
    fn give_back(self) {
        EMPTY.lock().unwrap_or_else(PoisonError::into_inner).push(self);
    }
}

/// One of a limited number.
#[derive(Debug)]
struct Slot(&'static AtomicUsize);

impl Slot {
    fn take(taken: &'static AtomicUsize, limit: usize) -> Option<Self> {
        let one_more = |count: usize| (count < limit).then_some(count + 1);
        taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()
            .map(|_| Self(taken))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants_after(reads: impl IntoIterator<Item = usize>) -> bool {
        let mut splice = Splice::default();
        reads.into_iter().for_each(|count| splice.note_copied(count));
        splice.wanted()
    }

    #[test]
    fn only_an_unbroken_run_of_large_reads_changes_over() {
        let large = 64 * 1024;
        assert!(wants_after([large; 16]));
        assert!(!wants_after([large; 15]));
        let broken = [[large; 15].as_slice(), &[100], &[large; 15]].concat();
        assert!(!wants_after(broken));
        assert!(!wants_after(std::iter::repeat_n(1000, 10_000)));
    }

    #[test]
    fn small_fillings_change_back() {
        let mut splice = Splice {
            mode: Mode::Splicing(0),
            ..Splice::default()
        };
        for _ in 0..SMALL_IN_A_ROW {
            assert!(splice.wanted());
            splice.note_filled(100);
        }
        assert!(!splice.wanted());
    }

    #[test]
    fn a_slot_beyond_the_limit_is_refused_until_one_is_freed() {
        static TAKEN: AtomicUsize = AtomicUsize::new(0);
        let first = Slot::take(&TAKEN, 2).unwrap();
        let _second = Slot::take(&TAKEN, 2).unwrap();
        assert!(Slot::take(&TAKEN, 2).is_none());
        drop(first);
        assert!(Slot::take(&TAKEN, 2).is_some());
    }
}
