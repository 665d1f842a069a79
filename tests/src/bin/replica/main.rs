//! One replica of a service: HTTP/1.1, h2c, WebSocket and gRPC on one port, a server-first protocol on another. It says
//! its name in every answer, counts what it served, and serves the counts as JSON on a control port.
//!
//! `replica --name r1 --http 8080 --banner 9000 --control 9100`

mod banner;
mod grpc;
mod http;
mod tally;

use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use clap::Parser;
use evenkeel_tests::identity::Identity;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::tally::Tally;

/// One replica of a service, for tests and for the demo.
#[derive(Parser)]
struct Arguments {
    /// The name that every answer carries.
    #[arg(long)]
    name: String,
    /// Port of HTTP/1.1, h2c, WebSocket and gRPC.
    #[arg(long, default_value_t = 8080)]
    http: u16,
    /// Port of the server-first protocol: a line with the name, then an echo.
    #[arg(long, default_value_t = 9000)]
    banner: u16,
    /// Port where `GET /counts` tells what was served.
    #[arg(long, default_value_t = 9100)]
    control: u16,
    /// Port of HTTPS, with a certificate that nobody knows.
    #[arg(long)]
    https: Option<u16>,
    /// The service that gRPC's health service knows; without it there is no health service.
    #[arg(long)]
    health: Option<String>,
    /// Milliseconds to think before each HTTP or gRPC answer.
    #[arg(long, default_value_t = 0)]
    delay: u64,
}

/// What every connection of this replica knows.
struct Replica {
    name: String,
    delay: Duration,
    health: Option<String>,
    tally: Tally,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let delay = Duration::from_millis(arguments.delay);
    let replica = Arc::new(Replica {
        name: arguments.name,
        delay,
        health: arguments.health,
        tally: Tally::default(),
    });

    let http = listen(arguments.http).await?;
    let banner = listen(arguments.banner).await?;
    let control = listen(arguments.control).await?;
    let https = match arguments.https {
        Some(port) => Some(listen(port).await?),
        None => None,
    };
    say(&format!("replica {} is ready", replica.name));
    tokio::try_join!(
        accept(http, &replica, |stream, replica| async move {
            http::serve(stream, replica).await
        }),
        secured(https, &replica),
        accept(banner, &replica, |stream, replica| async move {
            banner::serve(stream, &replica).await
        }),
        accept(control, &replica, |stream, replica| async move {
            tally::serve(stream, replica).await
        }),
    )?;
    Ok(())
}

/// HTTP over TLS, where it is wanted.
async fn secured(listener: Option<TcpListener>, replica: &Arc<Replica>) -> Result<()> {
    let Some(listener) = listener else { return Ok(()) };
    let tls = TlsAcceptor::from(Identity::of("localhost")?.tls);
    accept(listener, replica, |stream, replica| {
        let tls = tls.clone();
        async move { http::serve(tls.accept(stream).await?, replica).await }
    })
    .await
}

/// Both families with one socket.
async fn listen(port: u16) -> Result<TcpListener> {
    let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    TcpListener::bind(address)
        .await
        .with_context(|| format!("listen at {address}"))
}

/// Serves every connection in a task of its own. A connection that fails is the peer's business: the counts and the
/// peer's own error tell the story.
async fn accept<F>(
    listener: TcpListener,
    replica: &Arc<Replica>,
    serve: impl Fn(TcpStream, Arc<Replica>) -> F,
) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(serve(stream, Arc::clone(replica)));
    }
}

#[allow(clippy::print_stdout)] // the harness waits for this line
fn say(line: &str) {
    println!("{line}");
}
