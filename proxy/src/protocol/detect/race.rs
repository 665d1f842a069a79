//! The race: the client's first bytes against those of an upstream that was connected ahead.
//!
//! ```text
//!   client spoke  -> sniffed: HTTP/1, HTTP/2, TLS, opaque
//!   upstream spoke first -> server-first, relay from here; but an HTTP status line or SETTINGS is held back
//!   nobody spoke  -> nothing waits for us: both ends are connected, and so it may stay for ever
//! ```

use super::learn::Lesson;
use super::sniff::{self, Evidence, ServerSpoke, Sniffed};
use crate::failure::Reason;
use crate::net::scratch::poll_read_scratch;
use crate::net::spare;
use crate::net::stream::Stream;
use crate::protocol::opaque::{Reached, reach};
use crate::protocol::{Session, Spoken};
use crate::snapshot::{Detection, Handling};
use crate::telemetry::{Speculation, Verdict};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::futures::OwnedNotified;
use tokio::time::{Instant, Sleep, sleep};

/// How long a destination whose clients speak first is waited for before a connection is opened all the same.
const PATIENCE: Duration = Duration::from_millis(50);
/// After every endpoint refused: how long a client may still turn out to speak HTTP, and get a 503 instead of a reset.
const GRACE: Duration = Duration::from_millis(100);
/// One read of a client's first bytes.
const READ: usize = 16 * 1024;

/// What the race found.
pub struct Detected {
    /// What is spoken.
    pub spoken: Spoken,
    /// The bytes that the client has sent so far.
    pub prefix: Vec<u8>,
    /// The upstream connection that was opened ahead, if any.
    pub ahead: Option<Reached>,
}

/// Finds out what is spoken on a connection that is handled as `handling` says.
///
/// # Errors
/// The reason for which the connection is to be refused; `prefix` is answered by nobody.
pub async fn detect(
    session: &Rc<Session>,
    generation: u64,
    handling: &Handling,
    stream: &mut Stream,
) -> Result<Detected, Refused> {
    let race = Race {
        session,
        generation,
        evidence: Evidence {
            http_required: handling.detection == Detection::Http,
        },
        prefix: Vec::new(),
        ahead: Ahead::Unwanted,
    };
    race.run(handling, stream).await
}

/// A connection that is refused, and the bytes that it began with.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// It is HTTP, and so the refusal can be told.
    pub http: bool,
}

/// The connection ahead.
enum Ahead {
    /// None is opened: the client speaks first, by declaration.
    Unwanted,
    /// Later.
    Waiting(Pin<Box<Sleep>>),
    /// When one of those that are open at this destination is decided.
    Queued(Pin<Box<OwnedNotified>>),
    /// Being opened.
    Opening(Pin<Box<dyn Future<Output = Result<Reached, Reason>>>>, Place),
    /// Open; the bytes that it said and that are held back.
    Open(Box<Reached>, Place),
    /// It could not be opened, or it closed: the client has this long to speak.
    Lost(Reason, Pin<Box<Sleep>>),
    /// It closed, and the client is known to speak HTTP.
    Closed,
}

/// A place among the speculative connections of a destination.
struct Place {
    session: Rc<Session>,
    used: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        let context = &self.session.context;
        context.learnt.borrow_mut().leave(self.session.destination);
        context.book.speculated(if self.used {
            Speculation::Adopted
        } else {
            Speculation::Discarded
        });
    }
}

struct Race<'a> {
    session: &'a Rc<Session>,
    /// Of the configuration that the connection began with.
    generation: u64,
    evidence: Evidence,
    prefix: Vec<u8>,
    ahead: Ahead,
}

/// Who decided, and what.
#[derive(Clone, Copy)]
enum Decision {
    Client(Sniffed),
    ServerFirst,
    /// The client ended before it said enough.
    Silent,
    /// The upstream closed while nobody had spoken.
    UpstreamClosed,
    Failed(Reason),
}

impl Race<'_> {
    async fn run(mut self, handling: &Handling, stream: &mut Stream) -> Result<Detected, Refused> {
        let mut first = true;
        let decision = poll_fn(|cx| {
            if let Poll::Ready(decision) = self.poll_client(cx, stream) {
                return Poll::Ready(decision);
            }
            if std::mem::take(&mut first) && handling.detection == Detection::Race {
                self.ahead = self.first_step();
            }
            self.poll_ahead(cx)
        })
        .await;
        self.finish_opening(&decision).await?;
        self.conclude(decision, handling)
    }

    /// A connection that is nearly open is the one that opaque bytes go to; for HTTP the pool has better ones.
    async fn finish_opening(&mut self, decision: &Decision) -> Result<(), Refused> {
        let opaque = matches!(
            decision,
            Decision::Client(Sniffed::Opaque(_) | Sniffed::Tls) | Decision::Silent
        );
        self.ahead = match std::mem::replace(&mut self.ahead, Ahead::Unwanted) {
            Ahead::Opening(opening, place) if opaque => match opening.await {
                Ok(reached) => Ahead::Open(Box::new(reached), place),
                Err(reason) => return Err(Refused { reason, http: false }),
            },
            other => other,
        };
        Ok(())
    }

    fn poll_client(&mut self, cx: &mut Context<'_>, stream: &mut Stream) -> Poll<Decision> {
        loop {
            let prefix = &mut self.prefix;
            let read = poll_read_scratch(stream, cx, READ, |_, bytes| {
                if prefix.capacity() == 0 {
                    *prefix = spare::take();
                }
                prefix.extend_from_slice(bytes);
                bytes.len()
            });
            match read {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(Decision::Failed(Reason::DownstreamGone)),
                Poll::Ready(Ok(0)) => return Poll::Ready(Decision::Silent),
                Poll::Ready(Ok(_)) => match sniff::client(&self.prefix, &self.evidence) {
                    Sniffed::NeedMore => {}
                    sniffed => return Poll::Ready(Decision::Client(sniffed)),
                },
            }
        }
    }

    fn first_step(&self) -> Ahead {
        let (context, now) = (&self.session.context, Instant::now());
        let mut learnt = context.learnt.borrow_mut();
        if learnt
            .as_of(self.generation)
            .is_client_first(self.session.destination, now)
        {
            return Ahead::Waiting(Box::pin(sleep(PATIENCE)));
        }
        drop(learnt);
        self.open(now)
    }

    fn open(&self, now: Instant) -> Ahead {
        let context = &self.session.context;
        if !context.learnt.borrow_mut().enter(self.session.destination, now) {
            return Ahead::Queued(Box::pin(context.learnt.borrow().vacancy()));
        }
        context.book.speculated(Speculation::Opened);
        let session = Rc::clone(self.session);
        let place = Place {
            session: Rc::clone(&session),
            used: false,
        };
        let opening = async move {
            // The configuration of this moment: the client may have said nothing for long.
            let (live, handling) = session.now();
            reach(&session, &live, &handling).await
        };
        Ahead::Opening(Box::pin(opening), place)
    }

    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<Decision> {
        loop {
            self.ahead = match std::mem::replace(&mut self.ahead, Ahead::Unwanted) {
                Ahead::Unwanted => return Poll::Pending,
                Ahead::Waiting(mut sleep) => {
                    if sleep.as_mut().poll(cx).is_pending() {
                        self.ahead = Ahead::Waiting(sleep);
                        return Poll::Pending;
                    }
                    self.open(Instant::now())
                }
                Ahead::Queued(mut vacancy) => {
                    if vacancy.as_mut().poll(cx).is_pending() {
                        self.ahead = Ahead::Queued(vacancy);
                        return Poll::Pending;
                    }
                    self.open(Instant::now())
                }
                Ahead::Opening(mut opening, place) => match opening.as_mut().poll(cx) {
                    Poll::Pending => {
                        self.ahead = Ahead::Opening(opening, place);
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok(reached)) => Ahead::Open(Box::new(reached), place),
                    Poll::Ready(Err(reason)) => Ahead::Lost(reason, Box::pin(sleep(GRACE))),
                },
                Ahead::Open(mut reached, place) => {
                    let decision = self.poll_server(cx, &mut reached);
                    let over = matches!(decision, Poll::Ready(Decision::UpstreamClosed | Decision::Failed(_)));
                    if over && self.knows_http() {
                        Ahead::Closed
                    } else {
                        self.ahead = Ahead::Open(reached, place);
                        return decision;
                    }
                }
                Ahead::Lost(reason, mut sleep) => {
                    if sleep.as_mut().poll(cx).is_pending() || self.knows_http() {
                        self.ahead = Ahead::Lost(reason, sleep);
                        return Poll::Pending;
                    }
                    return Poll::Ready(Decision::Failed(reason));
                }
                Ahead::Closed => {
                    self.ahead = Ahead::Closed;
                    return Poll::Pending;
                }
            };
        }
    }

    fn knows_http(&self) -> bool {
        self.session
            .context
            .learnt
            .borrow()
            .is_http(self.session.destination, Instant::now())
    }

    fn poll_server(&self, cx: &mut Context<'_>, reached: &mut Reached) -> Poll<Decision> {
        loop {
            let said = &mut reached.said;
            let read = poll_read_scratch(&mut reached.stream, cx, READ, |_, bytes| {
                said.extend_from_slice(bytes);
                bytes.len()
            });
            match read {
                Poll::Pending => return Poll::Pending,
                // What was held back is no banner: a server of HTTP gave up a client that has not spoken yet.
                Poll::Ready(Ok(0)) if reached.said.is_empty() || self.knows_http() => {
                    return Poll::Ready(Decision::UpstreamClosed);
                }
                Poll::Ready(Ok(0)) => return Poll::Ready(Decision::ServerFirst),
                Poll::Ready(Err(_)) => return Poll::Ready(Decision::Failed(Reason::UpstreamClosed)),
                Poll::Ready(Ok(_)) => match sniff::server(&reached.said) {
                    ServerSpoke::ServerFirst(_) => return Poll::Ready(Decision::ServerFirst),
                    ServerSpoke::NeedMore | ServerSpoke::Held => {}
                },
            }
        }
    }

    /// What nothing depends on, for whoever looks at a connection: the server's name, what the bytes look like.
    fn tell(&self, decision: Decision) {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let destination = self.session.destination;
        match (decision, &self.ahead) {
            (Decision::Client(Sniffed::Tls), _) => {
                let hello = sniff::client_hello(&self.prefix);
                tracing::debug!(%destination, ?hello, "the client speaks TLS");
            }
            (Decision::Client(Sniffed::Opaque(hint)), _) => {
                tracing::debug!(%destination, looks_like = hint.label(), "the client speaks first");
            }
            (Decision::ServerFirst, Ahead::Open(reached, _)) => {
                let spoke = sniff::server(&reached.said);
                tracing::debug!(%destination, ?spoke, "the server speaks first");
            }
            _ => {}
        }
    }

    fn conclude(self, decision: Decision, handling: &Handling) -> Result<Detected, Refused> {
        self.tell(decision);
        let (spoken, verdict, lesson) = match decision {
            Decision::Client(Sniffed::Http1) => (Spoken::Http1, Verdict::Http1, Lesson::Http),
            Decision::Client(Sniffed::Http2) => (Spoken::Http2, Verdict::Http2, Lesson::Http),
            Decision::Client(Sniffed::Tls) => (Spoken::Opaque, Verdict::Tls, Lesson::ClientFirst),
            Decision::Client(Sniffed::Opaque(_) | Sniffed::NeedMore) => {
                (Spoken::Opaque, Verdict::Opaque, Lesson::ClientFirst)
            }
            Decision::ServerFirst => (Spoken::Opaque, Verdict::ServerFirst, Lesson::Otherwise),
            Decision::Silent | Decision::UpstreamClosed => (Spoken::Opaque, Verdict::Silent, Lesson::Otherwise),
            Decision::Client(Sniffed::BadHttp(reason)) => return Err(Refused { reason, http: true }),
            Decision::Failed(reason) => return Err(Refused { reason, http: false }),
        };
        let context = &self.session.context;
        let contradicts = match handling.detection {
            Detection::Http => spoken == Spoken::Opaque && verdict != Verdict::Silent,
            Detection::Tls => verdict != Verdict::Tls && verdict != Verdict::Silent,
            Detection::Race | Detection::Opaque => false,
        };
        context
            .book
            .detected(if contradicts { Verdict::Mismatch } else { verdict });
        let now = Instant::now();
        context
            .learnt
            .borrow_mut()
            .as_of(self.generation)
            .note(self.session.destination, lesson, now);
        let ahead = match self.ahead {
            Ahead::Open(reached, mut place) => {
                place.used = spoken == Spoken::Opaque || reached.said.is_empty();
                place.used.then_some(*reached)
            }
            _ => None,
        };
        Ok(Detected {
            spoken,
            prefix: self.prefix,
            ahead,
        })
    }
}
