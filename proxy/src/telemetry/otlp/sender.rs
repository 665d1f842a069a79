//! Messages to the collector, over gRPC or over HTTP.

use super::Way;
use bytes::Bytes;
use evenkeel_control_api::mesh::settings::Collector;
use evenkeel_control_api::mesh::settings::Otlp;
use http::HeaderMap;
use http::Request;
use http::Uri;
use http::header::CONTENT_TYPE;
use http::header::TE;
use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::Limited;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioTimer;
use std::error::Error;
use std::time::Duration;
use tokio::time::timeout;

/// A kind of telemetry.
#[derive(Clone, Copy, Debug)]
pub struct Signal {
    /// What its messages are called where the log speaks of them.
    pub things: &'static str,
    /// The call of gRPC.
    call: &'static str,
    /// The usual path over HTTP.
    path: &'static str,
}

/// Log records.
pub const LOGS: Signal = Signal {
    things: "log records",
    call: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    path: "/v1/logs",
};

/// Metrics.
pub const METRICS: Signal = Signal {
    things: "metrics",
    call: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    path: "/v1/metrics",
};

/// An answer is a few bytes, or a page of some proxy on the way.
const LONGEST_ANSWER: usize = 64 << 10;
/// A message of gRPC is prefixed with a flag, that it is not compressed, and its length.
const PREFIX: usize = 5;
/// Of a connection that nobody needs.
const IDLE: Duration = Duration::from_mins(1);

type Failed = Box<dyn Error + Send + Sync>;

/// Takes messages of a signal to a collector. Connects when there is something to be said.
#[derive(Debug)]
pub struct Sender {
    client: Client<HttpConnector, Full<Bytes>>,
    protocol: Otlp,
    uri: Uri,
    timeout: Duration,
    signal: Signal,
    way: Way,
}

impl Sender {
    /// To this collector.
    ///
    /// # Errors
    /// Its address makes no URI, in words.
    pub fn new(collector: &Collector, signal: Signal) -> Result<Self, String> {
        let path = match collector.protocol {
            Otlp::Grpc => signal.call,
            Otlp::Http if collector.uri.path() == "/" => signal.path,
            Otlp::Http => collector.uri.path(),
        };
        let authority = collector.uri.authority().map_or("", |authority| authority.as_str());
        let uri = Uri::builder().scheme("http").authority(authority).path_and_query(path);
        Ok(Self {
            client: client(collector.protocol),
            protocol: collector.protocol,
            uri: uri.build().map_err(|error| error.to_string())?,
            timeout: collector.timeout,
            signal,
            way: Way::default(),
        })
    }

    /// Sends a message, and says why it was not taken. The log tells when that changes.
    pub async fn send(&mut self, message: Vec<u8>) -> Result<(), String> {
        let outcome = if let Ok(outcome) = timeout(self.timeout, self.exchange(message)).await {
            outcome
        } else {
            // Whoever was there may be gone without a word, and a connection of HTTP/2 is used until TCP gives it up.
            self.client = client(self.protocol);
            Err("the collector does not answer in time".to_owned())
        };
        self.way = self.way.after(&outcome, self.signal.things);
        outcome
    }

    async fn exchange(&self, message: Vec<u8>) -> Result<(), String> {
        let request = Request::post(self.uri.clone());
        let request = match self.protocol {
            Otlp::Grpc => request
                .header(CONTENT_TYPE, "application/grpc")
                .header(TE, "trailers")
                .body(framed(&message)),
            Otlp::Http => request
                .header(CONTENT_TYPE, "application/x-protobuf")
                .body(message.into()),
        };
        let request = request.map_err(|error| error.to_string())?;
        let response = self.client.request(request).await.map_err(|error| cause(&error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, LONGEST_ANSWER).collect().await;
        if !head.status.is_success() {
            return Err(format!("the collector answers {}", head.status));
        }
        let body = body.map_err(|error: Failed| error.to_string())?;
        match self.protocol {
            Otlp::Grpc => concluded(body.trailers().unwrap_or(&head.headers)),
            Otlp::Http => Ok(()),
        }
    }
}

fn client(protocol: Otlp) -> Client<HttpConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new())
        .http2_only(protocol == Otlp::Grpc)
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .build_http()
}

fn framed(message: &[u8]) -> Full<Bytes> {
    let mut framed = Vec::with_capacity(PREFIX + message.len());
    framed.push(0);
    framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
    framed.extend_from_slice(message);
    Full::from(framed)
}

/// What gRPC says at the end; without a body that is in the head.
fn concluded(fields: &HeaderMap) -> Result<(), String> {
    let field = |name| fields.get(name).and_then(|value| value.to_str().ok());
    match field("grpc-status") {
        Some("0") => Ok(()),
        Some(status) => Err(format!(
            "the collector answers with the status {status} of gRPC: {}",
            field("grpc-message").unwrap_or("no message")
        )),
        None => Err("the collector answers without a status of gRPC".to_owned()),
    }
}

/// The innermost cause says more than `client error`.
fn cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn uri(collector: &str, protocol: Otlp) -> String {
        let collector = Collector {
            uri: collector.parse().unwrap(),
            protocol,
            timeout: Duration::from_secs(1),
        };
        Sender::new(&collector, LOGS).unwrap().uri.to_string()
    }

    #[test]
    fn the_path_is_the_signals_unless_it_is_configured() {
        let call = "http://[::1]:4317/opentelemetry.proto.collector.logs.v1.LogsService/Export";
        assert_eq!(uri("http://[::1]:4317", Otlp::Grpc), call);
        assert_eq!(uri("http://otel:4318", Otlp::Http), "http://otel:4318/v1/logs");
        assert_eq!(uri("http://otel:4318/in/logs", Otlp::Http), "http://otel:4318/in/logs");
    }

    #[test]
    fn only_the_status_0_of_grpc_is_good() {
        let said = |status| HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static(status))]);
        assert!(concluded(&said("0")).is_ok());
        assert!(concluded(&said("14")).is_err_and(|error| error.contains("status 14")));
        assert!(concluded(&HeaderMap::new()).is_err());
    }
}
