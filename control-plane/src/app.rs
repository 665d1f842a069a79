//! The wiring: file -> server -> pages -> the end.

use crate::source::Source;
use crate::telemetry::{self, Pages};
use evenkeel_control_api::serve::Server;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// What is served, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The mesh document.
    pub mesh: PathBuf,
    /// For clients, in plaintext.
    pub listen: SocketAddr,
    /// For `/metrics`, `/ready` and `/live`.
    pub telemetry: SocketAddr,
}

/// Serves until told to end.
///
/// # Errors
/// Why it could not start, as sentences for people; once it runs, it does not fail.
pub fn serve(options: &Options) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(run(options))
}

async fn run(options: &Options) -> Result<(), String> {
    let source = Source::open(&options.mesh).map_err(|refused| refused.to_string())?;
    let mesh = source.mesh();
    let (xds, listen) = bind(options.listen).await?;
    let (pages, telemetry) = bind(options.telemetry).await?;
    let signals = |kind| signal(kind).map_err(|error| format!("cannot listen to signals: {error}"));
    let (mut term, mut int) = (signals(SignalKind::terminate())?, signals(SignalKind::interrupt())?);

    let views = Arc::clone(&mesh);
    let server = Server::new(move |node, _| Ok(views.views(node.reader)));
    let doors = Arc::new(Pages::new(server.clone(), Arc::clone(&mesh)));
    tokio::spawn(telemetry::serve(pages, Arc::clone(&doors)));
    tokio::spawn(source.follow());

    let (services, endpoints) = mesh.counts();
    if !listen.ip().is_loopback() {
        tracing::warn!(%listen, "serving in plaintext to whoever reaches this address");
    }
    tracing::info!(%listen, %telemetry, services, endpoints, "serving");
    let told = async {
        tokio::select! {
            _ = term.recv() => tracing::info!("TERM received"),
            _ = int.recv() => tracing::info!("INT received"),
        }
        doors.end();
    };
    server.serve(xds, told).await;
    tracing::info!("the control plane ends");
    Ok(())
}

/// With the address that it became, where port 0 was asked for.
async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), String> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok::<_, io::Error>((listener, address))
    };
    bound
        .await
        .map_err(|error| format!("cannot listen on {address}: {error}"))
}
