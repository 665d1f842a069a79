//! How the connections to one destination are handled: detected or declared, balanced by request or by connection.

use crate::route::{Rule, Table};
use evenkeel_control_api::defaults;
use evenkeel_control_api::resource::listener::{Direction, ForwardedFor, Http2Options};
use std::sync::Arc;
use std::time::Duration;

/// How the connections to one destination are handled.
#[derive(Debug, PartialEq)]
pub struct Handling {
    /// The service in metrics and logs, such as `web.shop.svc.cluster.local:80`.
    pub service: Arc<str>,
    /// Which side of the application.
    pub direction: Direction,
    /// How it becomes known what is spoken.
    pub detection: Detection,
    /// For HTTP; `None`: nothing here is treated as HTTP.
    pub http: Option<HttpHandling>,
    /// For everything else; `None`: what is not HTTP is reset.
    pub tcp: Option<TcpHandling>,
}

impl Handling {
    /// Outbound to the cluster at `cluster`, whatever is spoken, with every limit at its default.
    pub(super) fn detected(service: Arc<str>, cluster: usize) -> Self {
        let rule = Rule {
            prefix: "/".to_owned(),
            cluster,
            timeout: None,
        };
        let http = HttpHandling {
            versions: Versions::Both,
            routes: Table::new(vec![rule]),
            max_header_bytes: defaults::HEADER_BYTES,
            max_header_fields: defaults::HEADER_FIELDS,
            head_timeout: Some(defaults::HEAD_TIMEOUT),
            idle_timeout: Some(defaults::DOWNSTREAM_IDLE),
            http2: defaults::HTTP2,
            forwarded_for: ForwardedFor::Off,
        };
        let tcp = TcpHandling {
            cluster,
            idle_timeout: None,
        };
        let direction = Direction::Outbound;
        Self {
            service,
            direction,
            detection: Detection::Race,
            http: Some(http),
            tcp: Some(tcp),
        }
    }

    /// The places of every cluster that connections of this handling can reach.
    pub fn clusters(&self) -> Vec<usize> {
        let routes = self
            .http
            .iter()
            .flat_map(|http| http.routes.rules().iter().map(|rule| rule.cluster));
        routes.chain(self.tcp.iter().map(|tcp| tcp.cluster)).collect()
    }
}

/// How it becomes known what is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detection {
    /// From the first bytes of whoever speaks first.
    Race,
    /// HTTP was declared; the bytes only say which version.
    Http,
    /// TLS was declared: the client speaks first, and its hello names the server.
    Tls,
    /// Opaque was declared: connect at once, look at nothing.
    Opaque,
}

/// What the connection manager needs.
#[derive(Debug, PartialEq)]
pub struct HttpHandling {
    /// Which versions clients may speak.
    pub versions: Versions,
    /// Which cluster a request goes to.
    pub routes: Table,
    /// Bytes of a head.
    pub max_header_bytes: usize,
    /// Fields of a head.
    pub max_header_fields: usize,
    /// From the first byte of a head to its last.
    pub head_timeout: Option<Duration>,
    /// Of a connection without a request.
    pub idle_timeout: Option<Duration>,
    /// Towards clients.
    pub http2: Http2Options,
    /// `X-Forwarded-For`.
    pub forwarded_for: ForwardedFor,
}

/// Which HTTP versions clients may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    /// Either.
    Both,
    /// HTTP/1 only.
    Http1,
    /// HTTP/2 only.
    Http2,
}

/// What the TCP proxy needs.
#[derive(Debug, PartialEq)]
pub struct TcpHandling {
    /// The cluster's place in the snapshot.
    pub cluster: usize,
    /// Close after this long without a byte.
    pub idle_timeout: Option<Duration>,
}
