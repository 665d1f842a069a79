//! A server with long answers, in either version of HTTP; it sends as fast as it is read, and counts what it has sent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use bytes::Bytes;
use evenkeel_tests::namespace::Namespace;
use evenkeel_tests::wait;
use h2::server::SendResponse;
use http::Response;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

/// The length of every answer.
const LENGTH: usize = 10 << 20;
/// What is written at a time.
const PIECE: usize = 64 << 10;

/// What the server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    One,
    Two,
}

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    sent: AtomicU64,
}

/// A running server; it ends when dropped.
pub(crate) struct Bulk {
    counters: Arc<Counters>,
    _stop: oneshot::Sender<()>,
}

// === impl Bulk ===

impl Bulk {
    pub(crate) fn start(inside: &Namespace, at: SocketAddr, version: Version) -> Result<Self> {
        let listener = inside.listen(at)?;
        listener.set_nonblocking(true)?;
        let (counters, (stop, stopped)) = (Arc::new(Counters::default()), oneshot::channel());
        let shared = Arc::clone(&counters);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    outcome = accept(listener, version, &shared) => outcome,
                    _ = stopped => Ok(()),
                }
            })
        });
        Ok(Self { counters, _stop: stop })
    }

    /// Waits until that many requests have come, and none of their answers gets on: all windows and buffers are full.
    pub(crate) fn stuck(&self, requests: u64, deadline: Duration) -> Result<u64> {
        let (mut last, mut looks) = (0, 0);
        let stuck = wait::until(deadline, || {
            let sent = self.counters.sent.load(Ordering::SeqCst);
            looks = if sent == last { looks + 1 } else { 0 };
            last = sent;
            (looks >= 40 && self.counters.requests.load(Ordering::SeqCst) == requests).then_some(sent)
        });
        stuck.with_context(|| format!("{:?} of {requests} requests", self.counters))
    }
}

async fn accept(listener: std::net::TcpListener, version: Version, counters: &Arc<Counters>) -> Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let counters = Arc::clone(counters);
        match version {
            Version::One => drop(tokio::spawn(one(stream, counters))),
            Version::Two => drop(tokio::spawn(two(stream, counters))),
        }
    }
}

/// One request on one connection.
async fn one(mut stream: TcpStream, counters: Arc<Counters>) -> Result<()> {
    let (mut head, mut buffer) = (Vec::new(), [0; 1024]);
    while !head.ends_with(b"\r\n\r\n") {
        let count = stream.read(&mut buffer).await?;
        anyhow::ensure!(count > 0, "no request");
        head.extend(&buffer[..count]);
    }
    counters.requests.fetch_add(1, Ordering::SeqCst);
    stream
        .write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n").as_bytes())
        .await?;
    let piece = vec![b'a'; PIECE];
    for _ in 0..LENGTH / PIECE {
        stream.write_all(&piece).await?;
        counters.sent.fetch_add(PIECE as u64, Ordering::SeqCst);
    }
    Ok(())
}

async fn two(stream: TcpStream, counters: Arc<Counters>) -> Result<()> {
    let mut connection = h2::server::handshake(stream).await?;
    while let Some(accepted) = connection.accept().await {
        counters.requests.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(answer(accepted?.1, Arc::clone(&counters)));
    }
    Ok(())
}

async fn answer(mut respond: SendResponse<Bytes>, counters: Arc<Counters>) -> Result<()> {
    let mut body = respond.send_response(Response::new(()), false)?;
    let mut left = LENGTH;
    while left > 0 {
        body.reserve_capacity(left.min(PIECE));
        let granted = std::future::poll_fn(|context| body.poll_capacity(context))
            .await
            .context("the stream is gone")??;
        left -= granted.min(left);
        body.send_data(Bytes::from(vec![b'a'; granted]), left == 0)?;
        counters.sent.fetch_add(granted as u64, Ordering::SeqCst);
    }
    Ok(())
}
