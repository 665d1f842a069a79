//! `proxy.app_health`: probes of the application that the kubelet asks the proxy for, and that the proxy makes itself.

use http::HeaderName;
use http::HeaderValue;
use http::uri::PathAndQuery;
use std::num::NonZeroU16;
use std::time::Duration;

/// One probe.
#[derive(Clone, Debug, PartialEq)]
pub struct AppProbe {
    /// Where the kubelet asks for it: `/app-health/CONTAINER/KIND`.
    pub path: String,
    /// What the application is asked.
    pub question: Question,
    /// For the whole of it (default 1 s).
    pub timeout: Duration,
}

/// What the application is asked, at the address at which the kubelet asked for it.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// Whether the answer to a GET is neither a 4xx nor a 5xx.
    Http(HttpQuestion),
    /// Whether it accepts a connection.
    Tcp {
        /// On this port.
        port: NonZeroU16,
    },
    /// Whether `grpc.health.v1.Health` says SERVING.
    Grpc {
        /// On this port.
        port: NonZeroU16,
        /// Of this service; of the whole server where it is empty.
        service: String,
    },
}

/// A GET.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpQuestion {
    /// The application's port.
    pub port: NonZeroU16,
    /// The path with its query (default `/`).
    pub path: PathAndQuery,
    /// `Host`; `None`: the address and port.
    pub host: Option<HeaderValue>,
    /// Further fields.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Over TLS, whatever the certificate.
    pub tls: bool,
}

impl Question {
    /// The application's port.
    pub fn port(&self) -> NonZeroU16 {
        match self {
            Self::Http(question) => question.port,
            Self::Tcp { port } | Self::Grpc { port, .. } => *port,
        }
    }
}
