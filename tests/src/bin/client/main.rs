//! Clients for what no common tool speaks the way a test needs it. Each prints one line of JSON: who answered how often.
//!
//! ```text
//! client grpc 10.96.0.10:80 --calls 300            one channel, calls one after another
//! client websocket 10.96.0.10:80 --connections 30  connections that stay open together, one echo on each
//! client banner 10.96.0.10:9000 --connections 30   connections one after another, until the server's first line
//! ```

mod banner;
mod grpc;
mod websocket;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use clap::ValueEnum;
use evenkeel_tests::grpc::Kind;
use tokio::net::TcpStream;

/// A call, an echo or a banner that takes longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Clients for tests; one line of JSON on stdout.
#[derive(Parser)]
enum Client {
    /// gRPC calls on one channel, one after another.
    Grpc {
        /// Where to connect.
        address: SocketAddr,
        /// How many calls.
        #[arg(long, default_value_t = 100)]
        calls: u32,
        /// The kind of call.
        #[arg(long, value_enum, default_value_t = Call::Unary)]
        kind: Call,
    },
    /// WebSocket connections, all open at once, one echo on each.
    Websocket(Connections),
    /// Connections to a server-first protocol, one after another.
    Banner(Connections),
}

#[derive(clap::Args)]
struct Connections {
    /// Where to connect.
    address: SocketAddr,
    /// How many connections.
    #[arg(long, default_value_t = 30)]
    connections: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum Call {
    Unary,
    ClientStream,
    ServerStream,
    Bidirectional,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let answers = match Client::parse() {
        Client::Grpc { address, calls, kind } => grpc::run(address, calls, kind.into()).await?,
        Client::Websocket(Connections { address, connections }) => websocket::run(address, connections).await,
        Client::Banner(Connections { address, connections }) => banner::run(address, connections).await,
    };
    say(&serde_json::to_string(&answers)?);
    Ok(())
}

async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

// === impl Call ===

impl From<Call> for Kind {
    fn from(call: Call) -> Self {
        match call {
            Call::Unary => Self::Unary,
            Call::ClientStream => Self::ClientStream,
            Call::ServerStream => Self::ServerStream,
            Call::Bidirectional => Self::Bidirectional,
        }
    }
}

#[allow(clippy::print_stdout)] // the report is what this program is for
fn say(line: &str) {
    println!("{line}");
}
