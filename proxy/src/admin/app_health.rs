//! `/app-health/CONTAINER/KIND`: whether the application is up, which the kubelet asks the proxy and the proxy the
//! application. Asked through the redirection, a probe would find the proxy in the application's place, always up.
//!
//! The application is dialled at the address at which the kubelet has connected, so that one which listens elsewhere is
//! as unreachable as without a mesh. Nothing can be asked but what the configuration lists.

mod grpc;
mod http;
mod tls;

use crate::net::connect;
use crate::net::connect::ConnectError;
use crate::net::options::TcpOptions;
use evenkeel_control_api::mesh::settings::AppProbe;
use evenkeel_control_api::mesh::settings::Question;
use hyper::StatusCode;
use hyper::header::HeaderValue;
use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Where these pages are.
pub(super) const PREFIX: &str = "/app-health/";

/// Probes at once. The kubelet has one of each kind; whoever asks for more must wait.
pub(super) const AT_ONCE: usize = 16;

/// Why the application is not up.
#[derive(Debug, thiserror::Error)]
pub(super) enum Down {
    /// It does not take connections.
    #[error("{0}")]
    Unreachable(#[from] ConnectError),
    /// It is too slow.
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// It takes connections and does not speak what it should.
    #[error("no proper answer: {0}")]
    Broken(Box<dyn Error + Send + Sync>),
    /// TLS with it does not come about.
    #[error("no TLS: {0}")]
    NoTls(io::Error),
    /// It says so.
    #[error("it answered with status {}", .0.as_u16())]
    Status(StatusCode),
    /// It says so over gRPC.
    #[error("it says {0}")]
    NotServing(&'static str),
    /// The call of gRPC has failed.
    #[error("the call of grpc.health.v1.Health/Check ended with status {0}")]
    CallFailed(String),
    /// Others ask already.
    #[error("more than {AT_ONCE} probes at once")]
    Crowded,
}

/// Asks the application at this address when one of the places is free; `agent` is who wants to know.
pub(super) async fn ask(
    probe: &AppProbe,
    places: &Semaphore,
    at: IpAddr,
    agent: Option<HeaderValue>,
) -> Result<(), Down> {
    let Ok(place) = timeout(probe.timeout, places.acquire()).await else {
        return Err(Down::Crowded);
    };
    let address = SocketAddr::new(at, probe.question.port().get());
    let asked = timeout(probe.timeout, answer(&probe.question, address, probe.timeout, agent)).await;
    drop(place);
    asked.unwrap_or(Err(Down::Late(probe.timeout)))
}

async fn answer(
    question: &Question,
    address: SocketAddr,
    limit: Duration,
    agent: Option<HeaderValue>,
) -> Result<(), Down> {
    let stream = match connect::connect(address, &TcpOptions::default(), limit).await {
        Err(error) if error.source.kind() == io::ErrorKind::TimedOut => return Err(Down::Late(limit)),
        connected => connected?,
    };
    match question {
        Question::Tcp { .. } => Ok(()),
        Question::Grpc { service, .. } => grpc::ask(stream, address, service, agent).await,
        Question::Http(question) if question.tls => {
            let stream = tls::connect(stream, address, question.host.as_ref()).await?;
            http::ask(stream, address, question, agent).await
        }
        Question::Http(question) => http::ask(stream, address, question, agent).await,
    }
}

impl Down {
    fn broken(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Broken(error.into())
    }
}
