//! Bodies that no buffer holds, down and up, in every pairing of versions, within a bound of memory.

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
use h2::RecvStream;
use h2::SendStream;
use http::Request;
use http::Response;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

/// Of bodies that pass as they are, from HTTP/1 to HTTP/1.
const LENGTH: u64 = 1 << 30;
/// Of the others, unless the environment names a number of bytes: a debug build takes its time for each frame.
const SHORTER: u64 = 64 << 20;
const BYTES: &str = "EVENKEEL_LARGE_BYTES";
/// What is written at a time.
const PIECE: usize = 64 << 10;
/// What a reader of HTTP/2 takes before it has read.
const WINDOW: u32 = 1 << 20;
/// What a proxy may grow by: the window of a connection of HTTP/2 is 4 MiB on each side (`limits.http2`), and as much may wait.
const BOUND: u64 = 24 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Download,
    Upload,
}

/// Sends the body to whoever gets it, and counts what others send.
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
    if head(&mut stream).await?.starts_with("GET ") {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(answer.as_bytes()).await?;
        return write(&mut stream, length).await;
    }
    let count = read(&mut stream, length).await?.to_string();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{count}", count.len());
    Ok(stream.write_all(answer.as_bytes()).await?)
}

async fn serve_two(stream: TcpStream, length: u64) -> Result<()> {
    let mut connection = h2::server::Builder::new()
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .handshake(stream)
        .await?;
    while let Some(accepted) = connection.accept().await {
        let (request, mut respond) = accepted?;
        tokio::spawn(async move {
            if request.method() == http::Method::GET {
                return pour(respond.send_response(Response::new(()), false)?, length).await;
            }
            let count = drain(request.into_body()).await?.to_string();
            let mut body = respond.send_response(Response::new(()), false)?;
            Ok(body.send_data(Bytes::from(count), true)?)
        });
    }
    Ok(())
}

/// Asks for the body or sends it; how much arrived.
async fn ask(to: SocketAddr, version: Version, way: Way, length: u64) -> Result<u64> {
    let stream = TcpStream::connect(to).await?;
    match version {
        Version::One => ask_one(stream, way, length).await,
        Version::Two => ask_two(stream, to, way, length).await,
    }
}

async fn ask_one(stream: TcpStream, way: Way, length: u64) -> Result<u64> {
    let mut stream = BufReader::new(stream);
    let request = match way {
        Way::Download => "GET / HTTP/1.0\r\nHost: a\r\n\r\n".to_owned(),
        Way::Upload => format!("POST / HTTP/1.0\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"),
    };
    stream.write_all(request.as_bytes()).await.context("send")?;
    if way == Way::Upload {
        write(&mut stream, length).await?;
    }
    let head = head(&mut stream).await?;
    ensure!(head.contains(" 200 "), "{head:?}");
    if way == Way::Download {
        return read(&mut stream, u64::MAX).await;
    }
    let mut count = String::new();
    stream.read_to_string(&mut count).await?;
    Ok(count.parse()?)
}

async fn ask_two(stream: TcpStream, to: SocketAddr, way: Way, length: u64) -> Result<u64> {
    let (mut channel, connection) = h2::client::Builder::new()
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .handshake::<_, Bytes>(stream)
        .await?;
    tokio::spawn(connection);
    let request = Request::builder().uri(format!("http://{to}/"));
    let request = match way {
        Way::Download => request.method("GET"),
        Way::Upload => request.method("POST").header("content-length", length),
    };
    let request = request.body(())?;
    let (response, body) = channel.send_request(request, way == Way::Download)?;
    if way == Way::Download {
        return drain(response.await?.into_body()).await;
    }
    pour(body, length).await?;
    let mut answer = response.await?.into_body();
    let count = answer.data().await.context("a count")??;
    Ok(str::from_utf8(&count)?.parse()?)
}

async fn head(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        ensure!(stream.read_line(&mut head).await? > 0, "it ended after {head:?}");
    }
    Ok(head)
}

async fn write(stream: &mut BufReader<TcpStream>, length: u64) -> Result<()> {
    let piece = vec![b'a'; PIECE];
    for _ in 0..length / PIECE as u64 {
        stream.write_all(&piece).await?;
    }
    Ok(stream.flush().await?)
}

/// So many bytes, or all of them until the end; how many there were.
async fn read(stream: &mut BufReader<TcpStream>, most: u64) -> Result<u64> {
    let (mut buffer, mut count) = (vec![0; PIECE], 0);
    while count < most {
        match stream.read(&mut buffer).await? {
            0 => break,
            read => count += read as u64,
        }
    }
    Ok(count)
}

async fn pour(mut body: SendStream<Bytes>, length: u64) -> Result<()> {
    let (piece, mut left) = (Bytes::from(vec![b'a'; PIECE]), length);
    while left > 0 {
        body.reserve_capacity(PIECE.min(left as usize));
        let granted = std::future::poll_fn(|context| body.poll_capacity(context)).await;
        let granted = granted.context("the stream is gone")??.min(PIECE).min(left as usize);
        left -= granted as u64;
        body.send_data(piece.slice(..granted), left == 0)?;
    }
    Ok(())
}

async fn drain(mut body: RecvStream) -> Result<u64> {
    let mut count = 0;
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        count += data.len() as u64;
    }
    Ok(count)
}

/// How long a body is that passes from one version to the other, or through frames.
fn shorter() -> Result<u64> {
    let Ok(bytes) = std::env::var(BYTES) else {
        return Ok(SHORTER);
    };
    let bytes: u64 = bytes.parse().with_context(|| format!("{BYTES}={bytes}"))?;
    ensure!(
        bytes > 0 && bytes.is_multiple_of(PIECE as u64),
        "{BYTES}: whole pieces of {PIECE} bytes"
    );
    Ok(bytes)
}

/// One body each way through a meshed client.
fn passes(family: Family, client: Version, server: Version) -> Result<()> {
    let length = match (client, server) {
        (Version::One, Version::One) => LENGTH,
        _ => shorter()?,
    };
    let cluster = Cluster::new()?;
    let (near, far): (Pod, Pod) = (cluster.pod("client")?, cluster.pod("server")?);
    let protocol = if server == Version::One { "http" } else { "http2" };
    let port = Port::new(80, [far.at(family, 7000)]).protocol(protocol);
    let service = Service::new("large", family.vip(10)).with(port);
    let mesh = near.mesh(&Document::of(&[&service]))?.quiet();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = far.listen(far.at(family, 7000))?;
    usage::forget_peak(mesh.proxy())?;
    let before = Usage::of(mesh.proxy())?;
    near.enter(|| {
        runtime.block_on(async {
            let server = tokio::spawn(serve(listener, server, length));
            for way in [Way::Download, Way::Upload] {
                let count = ask(service.at(80), client, way, length)
                    .await
                    .with_context(|| format!("{way:?}"))?;
                ensure!(count == length, "{way:?}: {count} bytes");
            }
            ensure!(!server.is_finished(), "the server has ended");
            Ok(())
        })
    })??;
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
