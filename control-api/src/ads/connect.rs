//! A connection to one control plane.

use crate::ads::bootstrap::Address;
use crate::ads::bootstrap::Credentials;
use crate::ads::bootstrap::Server;
use crate::ads::bootstrap::TlsFiles;
use std::error::Error;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;
use tonic::transport::Certificate;
use tonic::transport::Channel;
use tonic::transport::ClientTlsConfig;
use tonic::transport::Endpoint;
use tonic::transport::Identity;

/// For the handshakes of TCP and TLS together.
const CONNECT: Duration = Duration::from_secs(10);
/// How often a silent peer is asked whether it is there (HTTP/2 PING), and how long it may take to say so.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(10);
/// When the kernel begins to ask the same of a silent connection.
const TCP_KEEPALIVE: Duration = Duration::from_mins(1);
/// What a server may send ahead of us: a first configuration of some megabytes should not come in pieces of 64 KiB.
const WINDOW: u32 = 1 << 20;

/// Why there is no connection.
#[derive(Debug, Error)]
pub(crate) enum ConnectError {
    /// A file with a certificate or key cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Everything else, with its causes.
    #[error("{0}")]
    Transport(String),
}

/// Connects. Certificates are read now, so that a new connection has the newest.
pub(crate) async fn connect(server: &Server) -> Result<Channel, ConnectError> {
    let endpoint = endpoint(server)?;
    // The endpoint's own time is for the TCP handshake alone.
    match tokio::time::timeout(CONNECT, endpoint.connect()).await {
        Ok(connected) => connected.map_err(|error| transport(&error)),
        Err(_) => Err(ConnectError::Transport(format!("no connection within {CONNECT:?}"))),
    }
}

fn endpoint(server: &Server) -> Result<Endpoint, ConnectError> {
    let scheme = match server.credentials {
        Credentials::Insecure => "http",
        Credentials::Tls(_) => "https",
    };
    let uri = match &server.address {
        Address::Tcp { host, port } if host.contains(':') => format!("{scheme}://[{host}]:{port}"),
        Address::Tcp { host, port } => format!("{scheme}://{host}:{port}"),
        Address::Unix(path) => format!("unix:{}", path.display()),
    };
    let endpoint = Endpoint::from_shared(uri)
        .map_err(|error| transport(&error))?
        .http2_keep_alive_interval(PING)
        .keep_alive_timeout(PONG)
        .keep_alive_while_idle(true)
        .tcp_keepalive(Some(TCP_KEEPALIVE))
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW);
    match &server.credentials {
        Credentials::Insecure => Ok(endpoint),
        Credentials::Tls(files) => endpoint.tls_config(tls(files)?).map_err(|error| transport(&error)),
    }
}

fn tls(files: &TlsFiles) -> Result<ClientTlsConfig, ConnectError> {
    let config = match &files.authorities {
        Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(path)?)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    Ok(match &files.identity {
        Some(identity) => config.identity(Identity::from_pem(
            read(&identity.certificates)?,
            read(&identity.private_key)?,
        )),
        None => config,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, ConnectError> {
    std::fs::read(path).map_err(|source| ConnectError::File {
        path: path.to_owned(),
        source,
    })
}

fn transport(error: &tonic::transport::Error) -> ConnectError {
    ConnectError::Transport(with_causes(error))
}

/// An error and what is behind it: `transport error` alone helps nobody.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let sentence = error.to_string();
        if !text.contains(&sentence) {
            text = format!("{text}: {sentence}");
        }
        cause = error.source();
    }
    text
}
