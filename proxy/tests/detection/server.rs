//! Upstream servers that do something to a connection before its client has spoken, and keep account of what they got.

use std::cell::Cell;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use evenkeel_proxy::net::prefixed::Prefixed;
use evenkeel_proxy::net::stream::Stream;
use http::Response;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use crate::prologues::Prologue;
use crate::prologues::SETTINGS;
use crate::prologues::Spoken;
use crate::road::breathe;

/// What an opaque server answers to the whole prologue.
pub(crate) const ANSWER: &[u8] = b"answer";

/// What a server does at accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Nothing before it was spoken to.
    Silence,
    /// It speaks first.
    Banner,
    /// It sends the SETTINGS of HTTP/2, as gRPC servers do.
    Settings,
    /// To a connection that is idle: a 408.
    Timeout,
    /// The same and a FIN.
    TimeoutAndFin,
    /// To a connection that is idle: a FIN. It reads on.
    Fin,
    /// To a connection that is idle: a reset.
    Reset,
}

impl Deed {
    pub(crate) const ALL: [Self; 7] = [
        Self::Silence,
        Self::Banner,
        Self::Settings,
        Self::Timeout,
        Self::TimeoutAndFin,
        Self::Fin,
        Self::Reset,
    ];

    pub(crate) fn words(self) -> &'static [u8] {
        match self {
            Self::Banner => b"220 mail.test ESMTP\r\n",
            Self::Settings => SETTINGS,
            Self::Timeout | Self::TimeoutAndFin => b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n",
            Self::Silence | Self::Fin | Self::Reset => b"",
        }
    }

    /// Done to a connection that has carried nothing yet, and to no other.
    pub(crate) fn is_for_idle(self) -> bool {
        matches!(self, Self::Timeout | Self::TimeoutAndFin | Self::Fin | Self::Reset)
    }

    /// The server sends nothing more.
    pub(crate) fn ends(self) -> bool {
        matches!(self, Self::TimeoutAndFin | Self::Fin | Self::Reset)
    }
}

/// The endpoints of a service: alike, and told apart by their number.
pub(crate) struct Servers {
    prologue: Prologue,
    deed: Deed,
    served: RefCell<Vec<Served>>,
    ready: Cell<usize>,
    thought: Cell<Duration>,
}

/// A request, or all the bytes of an opaque connection.
pub(crate) struct Served {
    pub(crate) endpoint: usize,
    pub(crate) bytes: Vec<u8>,
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "by {}: {:?}", self.endpoint, self.bytes.escape_ascii().to_string())
    }
}

impl Servers {
    pub(crate) fn new(prologue: &Prologue, deed: Deed) -> Rc<Self> {
        Rc::new(Self {
            prologue: prologue.clone(),
            deed,
            served: RefCell::default(),
            ready: Cell::default(),
            thought: Cell::default(),
        })
    }

    /// From now on an opaque server thinks for so long before it answers.
    pub(crate) fn think(&self, time: Duration) {
        self.thought.set(time);
    }

    /// What was served since this was asked the last time.
    pub(crate) fn served(&self) -> Vec<Served> {
        self.served.take()
    }

    /// Connections to which the deed was done, or that were spoken to before it could be.
    pub(crate) fn ready(&self) -> usize {
        self.ready.get()
    }

    /// Serves a connection to one of the endpoints.
    pub(crate) async fn serve(&self, mut stream: Stream, endpoint: usize) {
        let spoken = self.prologue.spoken;
        let first = if self.deed.is_for_idle() {
            first_words(&mut stream).await
        } else {
            Vec::new()
        };
        let acts = self.deed != Deed::Silence && first.is_empty();
        // Who sends SETTINGS ends a connection that begins with another protocol's request.
        let speaks_http2 = self.deed == Deed::Settings && spoken.is_http();
        if acts && !speaks_http2 {
            // Who was dialled and dropped does not hear it.
            let _ = stream.write_all(self.deed.words()).await;
            if self.deed.ends() && self.deed != Deed::Reset {
                let _ = stream.shutdown().await;
            }
        }
        self.ready.set(self.ready.get() + 1);
        match spoken {
            _ if acts && self.deed == Deed::Reset => stream.reset(),
            _ if speaks_http2 => self.serve_http2(stream, first, endpoint).await,
            _ if acts => self.serve_bytes(stream, first, endpoint, !self.deed.ends()).await,
            Spoken::Http1 => self.serve_http1(stream, first, endpoint).await,
            Spoken::Http2 => {
                let first = if first.is_empty() {
                    read(&mut stream).await
                } else {
                    first
                };
                self.serve_http2(stream, first, endpoint).await;
            }
            Spoken::Tls | Spoken::Opaque => self.serve_bytes(stream, first, endpoint, true).await,
        }
    }

    /// May answer once the whole prologue is here.
    async fn serve_bytes(&self, mut stream: Stream, mut bytes: Vec<u8>, endpoint: usize, answers: bool) {
        loop {
            if answers && bytes == self.prologue.bytes {
                if !self.thought.get().is_zero() {
                    sleep(self.thought.get()).await;
                }
                let _ = stream.write_all(ANSWER).await;
            }
            let more = read(&mut stream).await;
            if more.is_empty() {
                break;
            }
            bytes.extend(more);
        }
        if !bytes.is_empty() {
            self.account(endpoint, bytes);
        }
    }

    /// Every request is as long as the prologue, or something was done to it.
    async fn serve_http1(&self, mut stream: Stream, mut bytes: Vec<u8>, endpoint: usize) {
        loop {
            while bytes.len() >= self.prologue.bytes.len() {
                let rest = bytes.split_off(self.prologue.bytes.len());
                self.account(endpoint, std::mem::replace(&mut bytes, rest));
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{endpoint}");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
            let more = read(&mut stream).await;
            if more.is_empty() {
                return;
            }
            bytes.extend(more);
        }
    }

    async fn serve_http2(&self, stream: Stream, first: Vec<u8>, endpoint: usize) {
        let Ok(mut connection) = h2::server::handshake(Prefixed::new(stream, first)).await else {
            return;
        };
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            let line = format!("{} {}", request.method(), request.uri().path());
            self.account(endpoint, line.into_bytes());
            // A client that is gone hears nothing.
            if let Ok(mut body) = respond.send_response(Response::new(()), false) {
                let _ = body.send_data(endpoint.to_string().into(), true);
            }
        }
    }

    fn account(&self, endpoint: usize, bytes: Vec<u8>) {
        self.served.borrow_mut().push(Served { endpoint, bytes });
    }
}

/// What a client says before a server that is busy with nothing else looks at its clock.
async fn first_words(stream: &mut Stream) -> Vec<u8> {
    tokio::select! {
        biased;
        words = read(stream) => words,
        () = breathe() => Vec::new(),
    }
}

/// The next bytes; none where the connection has ended, in whatever way.
async fn read(stream: &mut Stream) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4096);
    match stream.read_buf(&mut bytes).await {
        Ok(_) => bytes,
        Err(_) => Vec::new(),
    }
}
