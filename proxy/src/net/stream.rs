//! The two kinds of byte stream that the proxy moves: a socket, and the in-process stream of a pod that calls itself.
//!
//! To add a kind: a variant, and the compiler names the matches that want a line.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;

use crate::net::local::Local;

/// A connection, from either side.
#[derive(Debug)]
pub enum Stream {
    /// A socket.
    Tcp(TcpStream),
    /// One end of an in-process pair: a pod that reached its own Service, where a socket would be redirected back to
    /// us.
    Local(Local),
}

impl Stream {
    /// The address of the other end; nothing for an in-process stream, or when the peer has already reset.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(socket) => socket.peer_addr().ok(),
            Self::Local(_) => None,
        }
    }

    /// The address of our end; nothing for an in-process stream.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(socket) => socket.local_addr().ok(),
            Self::Local(_) => None,
        }
    }

    /// Closes with a reset, so that the peer reads `ECONNRESET` and not a clean end.
    pub fn reset(self) {
        self.reset_when_dropped();
    }

    /// The same for who holds only a reference: the reset goes out when the stream is dropped.
    pub fn reset_when_dropped(&self) {
        match self {
            // It fails only on a socket that is no longer connected, whose peer needs no reset.
            Self::Tcp(socket) => drop(socket.set_zero_linger()),
            Self::Local(stream) => stream.reset_when_dropped(),
        }
    }

    /// The error that a socket keeps for whoever asks next (`SO_ERROR`), one syscall. It is how a side that has sent
    /// its FIN, and from which nothing is read any more, says that it is gone.
    pub fn take_error(&self) -> Option<io::Error> {
        match self {
            Self::Tcp(socket) => socket.take_error().unwrap_or_else(Some),
            Self::Local(_) => None,
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(socket: TcpStream) -> Self {
        Self::Tcp(socket)
    }
}

impl From<tokio::io::DuplexStream> for Stream {
    fn from(stream: tokio::io::DuplexStream) -> Self {
        Self::Local(stream.into())
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_read(cx, buffer),
            Self::Local(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_write(cx, bytes),
            Self::Local(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
            Self::Local(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(socket) => socket.is_write_vectored(),
            Self::Local(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_flush(cx),
            Self::Local(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Local(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
