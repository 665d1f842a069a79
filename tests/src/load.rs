//! Requests at a steady rate from inside a pod, as an application sends them that keeps its connections for as long as it is let:
//! it goes on until it is stopped, whatever becomes of the answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;
use bytes::Bytes;
use h2::RecvStream;
use h2::client::ResponseFuture;
use h2::client::SendRequest;
use http::Request;
use http::Response;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::interval;
use tokio::time::timeout;

use crate::answers::Answers;
use crate::grpc::Deframer;
use crate::grpc::Echo;
use crate::grpc::Kind;
use crate::grpc::frame;
use crate::http2::collect;
use crate::pod::Pod;

/// An answer that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Of h2, which takes about 250 bytes of it for each small DATA frame that nobody has read yet and gives the connection up when it
/// is spent. The default allows 130 answers, fewer than come at once to a client that had to wait for a busy machine.
const DATA_FRAME_BUDGET: usize = 4 << 20;

/// What the client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoken {
    /// One request after another on each connection.
    Http1,
    /// Requests side by side on one connection.
    Http2,
    /// Unary calls, in the same way.
    Grpc,
}

/// A client that is running.
#[derive(Debug)]
pub struct Load {
    spoken: Spoken,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    thread: JoinHandle<Result<()>>,
}

/// What became of all requests.
#[derive(Debug)]
pub struct Outcome {
    /// Who answered, and what failed.
    pub answers: Answers,
    /// Connections that were opened.
    pub connections: u64,
}

#[derive(Debug, Default)]
struct Shared {
    answers: Mutex<Answers>,
    served: AtomicU64,
    connections: AtomicU64,
}

// === impl Spoken ===

impl Spoken {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Http1, Self::Http2, Self::Grpc];

    /// Connections that the requests are spread over: those of HTTP/1 wait for each other.
    fn lanes(self) -> u32 {
        match self {
            Self::Http1 => 10,
            Self::Http2 | Self::Grpc => 2,
        }
    }
}

// === impl Load ===

impl Load {
    /// Begins to ask `to` from inside the pod, `rate` times a second.
    pub fn start(from: &Pod, to: SocketAddr, spoken: Spoken, rate: u32) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = watch::channel(false);
        let (pod, account) = (from.clone(), Arc::clone(&shared));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread =
            std::thread::spawn(move || pod.enter(|| runtime.block_on(lanes(to, spoken, rate, &account, &stopped))));
        Ok(Self {
            spoken,
            shared,
            stop,
            thread,
        })
    }

    /// What it speaks.
    pub fn spoken(&self) -> Spoken {
        self.spoken
    }

    /// Requests that were answered as they should be, so far.
    pub fn served(&self) -> u64 {
        self.shared.served.load(Ordering::SeqCst)
    }

    /// What became of the requests that were answered so far.
    pub fn outcome(&self) -> Outcome {
        self.shared.outcome()
    }

    /// Asks no more, and waits for the answers to what was asked.
    pub fn stop(self) -> Result<Outcome> {
        // It fails when nobody listens any more, and then the thread says why.
        let _ = self.stop.send(true);
        match self.thread.join() {
            Ok(ended) => ended?,
            Err(panic) => std::panic::resume_unwind(panic),
        }
        Ok(self.shared.outcome())
    }
}

// === impl Shared ===

impl Shared {
    fn book(&self, outcome: Result<String>) {
        self.served.fetch_add(u64::from(outcome.is_ok()), Ordering::SeqCst);
        self.answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .book(outcome);
    }

    fn outcome(&self) -> Outcome {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        Outcome {
            answers: answers.clone(),
            connections: self.connections.load(Ordering::SeqCst),
        }
    }

    async fn connect(&self, to: SocketAddr) -> Result<TcpStream> {
        let stream = TcpStream::connect(to).await.context("connect")?;
        stream.set_nodelay(true)?;
        self.connections.fetch_add(1, Ordering::SeqCst);
        Ok(stream)
    }
}

async fn lanes(to: SocketAddr, spoken: Spoken, rate: u32, shared: &Arc<Shared>, stopped: &watch::Receiver<bool>) {
    let pace = Duration::from_secs(1) * spoken.lanes() / rate;
    let mut lanes = JoinSet::new();
    for _ in 0..spoken.lanes() {
        let (shared, stopped) = (Arc::clone(shared), stopped.clone());
        match spoken {
            Spoken::Http1 => lanes.spawn(one_by_one(to, pace, shared, stopped)),
            Spoken::Http2 | Spoken::Grpc => lanes.spawn(side_by_side(to, spoken, pace, shared, stopped)),
        };
    }
    lanes.join_all().await;
}

// === HTTP/1 ===

async fn one_by_one(to: SocketAddr, pace: Duration, shared: Arc<Shared>, stopped: watch::Receiver<bool>) {
    let mut ticks = interval(pace);
    let mut kept = None;
    while !*stopped.borrow() {
        ticks.tick().await;
        let asked = timeout(PATIENCE, ask(&mut kept, to, &shared)).await;
        let outcome = asked.context("no answer").flatten();
        if outcome.is_err() {
            kept = None;
        }
        shared.book(outcome);
    }
}

/// One request, on the connection that was kept if there is one.
async fn ask(kept: &mut Option<BufReader<TcpStream>>, to: SocketAddr, shared: &Shared) -> Result<String> {
    let mut stream = match kept.take() {
        Some(stream) => stream,
        None => BufReader::new(shared.connect(to).await?),
    };
    let request = format!("GET / HTTP/1.1\r\nHost: {to}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.context("send")?;
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let read = stream
            .read_line(&mut head)
            .await
            .with_context(|| format!("in {head:?}"))?;
        ensure!(read > 0, "it ended after {head:?}");
    }
    let head = head.to_ascii_lowercase();
    ensure!(head.starts_with("http/1.1 200 "), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.context("no length")?.parse()?];
    stream.read_exact(&mut body).await.context("in the body")?;
    if !head.contains("\r\nconnection: close\r\n") {
        *kept = Some(stream);
    }
    Ok(String::from_utf8(body)?.trim_end().to_owned())
}

// === HTTP/2 ===

async fn side_by_side(
    to: SocketAddr,
    spoken: Spoken,
    pace: Duration,
    shared: Arc<Shared>,
    stopped: watch::Receiver<bool>,
) {
    let mut ticks = interval(pace);
    let (mut channel, mut asked) = (None, JoinSet::new());
    while !*stopped.borrow() {
        ticks.tick().await;
        match begin(&mut channel, to, spoken, &shared).await {
            Ok(response) => {
                let shared = Arc::clone(&shared);
                asked.spawn(async move {
                    let heard = timeout(PATIENCE, hear_at_last(response, to, spoken, &shared)).await;
                    shared.book(heard.context("no answer").flatten());
                });
            }
            Err(error) => shared.book(Err(error)),
        }
        while asked.try_join_next().is_some() {}
    }
    asked.join_all().await;
}

/// Opens a stream; on a new connection where the one before takes no more, which is no failure.
async fn begin(
    channel: &mut Option<SendRequest<Bytes>>,
    to: SocketAddr,
    spoken: Spoken,
    shared: &Shared,
) -> Result<ResponseFuture> {
    if let Some(open) = channel.take()
        && let Ok(mut ready) = open.ready().await
        && let Ok(response) = send(&mut ready, to, spoken)
    {
        *channel = Some(ready);
        return Ok(response);
    }
    let (open, connection) = h2::client::Builder::new()
        .data_frame_budget(DATA_FRAME_BUDGET)
        .handshake(shared.connect(to).await?)
        .await?;
    tokio::spawn(connection);
    let mut ready = open.ready().await?;
    let response = send(&mut ready, to, spoken)?;
    *channel = Some(ready);
    Ok(response)
}

fn send(channel: &mut SendRequest<Bytes>, to: SocketAddr, spoken: Spoken) -> Result<ResponseFuture> {
    if spoken == Spoken::Http2 {
        let request = Request::get(format!("http://{to}/")).body(())?;
        return Ok(channel.send_request(request, true)?.0);
    }
    let request = Request::post(format!("http://{to}{}", Kind::Unary.path()))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())?;
    let (response, mut body) = channel.send_request(request, false)?;
    let word = Echo {
        text: "even".to_owned(),
        replica: String::new(),
    };
    body.send_data(frame(&word), true)?;
    Ok(response)
}

/// The answer; on a new connection where a goodbye says that nobody has looked at the request (RFC 9113 6.8): what was about to
/// be sent when the goodbye came, clients send all the same.
async fn hear_at_last(response: ResponseFuture, to: SocketAddr, spoken: Spoken, shared: &Shared) -> Result<String> {
    match response.await {
        Err(error) if error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR) => {
            let again = begin(&mut None, to, spoken, shared).await?;
            hear(again.await.context("no head again")?, spoken).await
        }
        response => hear(response.context("no head")?, spoken).await,
    }
}

async fn hear(response: Response<RecvStream>, spoken: Spoken) -> Result<String> {
    ensure!(response.status() == 200, "{response:?}");
    if spoken == Spoken::Http2 {
        let body = collect(response.into_body()).await?.0;
        return Ok(String::from_utf8(body)?.trim_end().to_owned());
    }
    echoed(response).await
}

async fn echoed(response: Response<RecvStream>) -> Result<String> {
    let headers = response.headers().clone();
    let (body, trailers) = collect(response.into_body()).await?;
    let status = trailers.get("grpc-status").or(headers.get("grpc-status")).cloned();
    ensure!(
        status.as_ref().is_some_and(|status| status == "0"),
        "{headers:?} {trailers:?}"
    );
    let mut messages = Deframer::default();
    messages.push(&body);
    match messages.message() {
        Ok(Some(echo)) => Ok(echo.replica),
        other => bail!("{other:?}"),
    }
}
