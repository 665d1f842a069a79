//! Bodies that no buffer holds, in every pairing of versions, within a bound of memory.

use std::net::SocketAddr;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use bytes::Bytes;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::document::Document;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::service::Port;
use evenkeel_tests::service::Service;
use evenkeel_tests::usage;
use evenkeel_tests::usage::Usage;
use http::Request;
use http::Response;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

/// Of the bodies whose version stays the same on the way, and of the others.
const LENGTH: u64 = 1 << 30;
const SHORTER: u64 = LENGTH / 4;
/// What is written at a time.
const PIECE: usize = 64 << 10;
/// What a proxy may grow by: the window of a connection of HTTP/2 is 4 MiB on each side (`limits.http2`), and as much may wait.
const BOUND: u64 = 24 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// Sends the body to whoever asks.
async fn serve(listener: std::net::TcpListener, version: Version, length: u64) -> Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        // A client that leaves is no concern of the others.
        match version {
            Version::One => drop(tokio::spawn(serve_one(stream, length))),
            Version::Two => drop(tokio::spawn(serve_two(stream, length))),
        }
    }
}

async fn serve_one(stream: TcpStream, length: u64) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        ensure!(stream.read_line(&mut head).await? > 0, "no request");
    }
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(answer.as_bytes()).await?;
    let piece = vec![b'a'; PIECE];
    for _ in 0..length / PIECE as u64 {
        stream.write_all(&piece).await?;
    }
    Ok(stream.flush().await?)
}

async fn serve_two(stream: TcpStream, length: u64) -> Result<()> {
    let mut connection = h2::server::handshake(stream).await?;
    while let Some(accepted) = connection.accept().await {
        let (_, mut respond) = accepted?;
        tokio::spawn(async move {
            let mut body = respond.send_response(Response::new(()), false)?;
            let (piece, mut left) = (Bytes::from(vec![b'a'; PIECE]), length);
            while left > 0 {
                body.reserve_capacity(PIECE.min(left as usize));
                let granted = std::future::poll_fn(|context| body.poll_capacity(context)).await;
                let granted = granted.context("the stream is gone")??.min(PIECE).min(left as usize);
                left -= granted as u64;
                body.send_data(piece.slice(..granted), left == 0)?;
            }
            anyhow::Ok(())
        });
    }
    Ok(())
}

/// Asks, and reads it all; how much that was.
async fn ask(to: SocketAddr, version: Version) -> Result<u64> {
    let stream = TcpStream::connect(to).await?;
    match version {
        Version::One => ask_one(stream).await,
        Version::Two => ask_two(stream, to).await,
    }
}

async fn ask_one(mut stream: TcpStream) -> Result<u64> {
    stream
        .write_all(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        .await
        .context("send")?;
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        ensure!(stream.read_line(&mut head).await? > 0, "{head:?}");
    }
    ensure!(head.contains(" 200 "), "{head:?}");
    let (mut buffer, mut count) = (vec![0; PIECE], 0);
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(count),
            read => count += read as u64,
        }
    }
}

async fn ask_two(stream: TcpStream, to: SocketAddr) -> Result<u64> {
    let (mut channel, connection) = h2::client::Builder::new()
        .initial_window_size(1 << 20)
        .initial_connection_window_size(1 << 20)
        .handshake::<_, Bytes>(stream)
        .await?;
    tokio::spawn(connection);
    let request = Request::get(format!("http://{to}/")).body(())?;
    let (response, _) = channel.send_request(request, true)?;
    let mut body = response.await?.into_body();
    let mut count = 0;
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        count += data.len() as u64;
    }
    Ok(count)
}

/// One body through a meshed client.
fn passes(family: Family, client: Version, server: Version) -> Result<()> {
    let length = if client == server { LENGTH } else { SHORTER };
    let cluster = Cluster::new()?;
    let (near, far): (Pod, Pod) = (cluster.pod("client")?, cluster.pod("server")?);
    let protocol = if server == Version::One { "http" } else { "http2" };
    let port = Port::new(80, [far.at(family, 7000)]).protocol(protocol);
    let service = Service::new("large", family.vip(10)).with(port);
    let mesh = near.mesh(&Document::of(&[&service]))?.quiet();
    let listener = far.listen(far.at(family, 7000))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    usage::forget_peak(mesh.proxy())?;
    let before = Usage::of(mesh.proxy())?;
    let count = near.enter(|| {
        runtime.block_on(async {
            tokio::select! {
                ended = serve(listener, server, length) => ended.and(Err(anyhow::anyhow!("the server has ended"))),
                count = ask(service.at(80), client) => count,
            }
        })
    })??;
    ensure!(count == length, "{count} bytes");
    let grown = Usage::of(mesh.proxy())?.peak.saturating_sub(before.resident);
    ensure!(grown <= BOUND, "grew by {grown} bytes");
    Ok(())
}

#[test]
fn a_gibibyte_passes_and_is_never_held() -> Result<()> {
    // Either family once with each client and once with each server.
    for (family, client, server) in [
        (Family::V4, Version::One, Version::One),
        (Family::V6, Version::One, Version::Two),
        (Family::V6, Version::Two, Version::One),
        (Family::V4, Version::Two, Version::Two),
    ] {
        passes(family, client, server).with_context(|| format!("{client:?} to {server:?} over {family:?}"))?;
    }
    Ok(())
}
