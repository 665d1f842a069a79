//! Messages to the collector, over gRPC or over HTTP.

use super::Rejected;
use super::Sent;
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
use tokio::time::Instant;
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
/// Between two words about what is rejected.
const SILENCE: Duration = Duration::from_hours(1);
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
    /// When the log was told what the collector rejects.
    told: Option<Instant>,
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
            told: None,
        })
    }

    /// Sends a message, and says what became of it. The log tells when that changes, and now and then what is rejected.
    pub async fn send(&mut self, message: Vec<u8>) -> Sent {
        let sent = if let Ok(sent) = timeout(self.timeout, self.exchange(message)).await {
            sent.unwrap_or_else(Sent::Away)
        } else {
            // Whoever was there may be gone without a word, and a connection of HTTP/2 is used until TCP gives it up.
            self.client = client(self.protocol);
            Sent::Away("the collector does not answer in time".to_owned())
        };
        let things = self.signal.things;
        match &sent {
            Sent::Taken(rejected) => {
                self.way = self.way.after(&Ok(()), things);
                self.tell_rejected(rejected);
            }
            // It is there, and may take the next: its way stays as it is.
            Sent::Refused(why) if self.may_tell() => {
                tracing::warn!(
                    why,
                    "the collector refuses {things}: they are dropped and counted, and this is told once an hour"
                );
            }
            Sent::Refused(_) => {}
            Sent::Away(why) => self.way = self.way.after(&Err(why.clone()), things),
        }
        sent
    }

    fn tell_rejected(&mut self, rejected: &Rejected) {
        let Rejected { things: count, why } = rejected;
        if (*count > 0 || !why.is_empty()) && self.may_tell() {
            let things = self.signal.things;
            tracing::warn!(
                count,
                why,
                "the collector rejects {things}: they are counted, and this is told once an hour"
            );
        }
    }

    /// Whether something that comes again and again may be told, which it then is.
    fn may_tell(&mut self) -> bool {
        let is_told = self.told.is_some_and(|told| told.elapsed() < SILENCE);
        if !is_told {
            self.told = Some(Instant::now());
        }
        !is_told
    }

    /// Fails where nothing can be said to the collector, or it says nothing.
    async fn exchange(&self, message: Vec<u8>) -> Result<Sent, String> {
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
            let why = format!("the collector answers {}", head.status);
            // OTLP: with these it asks to be left alone for a while.
            return Ok(match head.status.as_u16() {
                429 | 502..=504 => Sent::Away(why),
                _ => Sent::Refused(why),
            });
        }
        let body = body.map_err(|error: Failed| error.to_string())?;
        if self.protocol == Otlp::Grpc
            && let Some(sent) = concluded(body.trailers().unwrap_or(&head.headers))
        {
            return Ok(sent);
        }
        let answer = body.to_bytes();
        let answer = match self.protocol {
            Otlp::Grpc => answer
                .strip_prefix(&[0])
                .and_then(|rest| rest.get(PREFIX - 1..))
                .unwrap_or_default(),
            Otlp::Http => &answer,
        };
        Ok(Sent::Taken(Rejected::of_answer(answer)))
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

/// What gRPC says at the end; without a body that is in the head. `None`: all is well.
fn concluded(fields: &HeaderMap) -> Option<Sent> {
    let field = |name| fields.get(name).and_then(|value| value.to_str().ok());
    let Some(status) = field("grpc-status") else {
        return Some(Sent::Away("the collector answers without a status of gRPC".to_owned()));
    };
    let message = field("grpc-message").unwrap_or("no message");
    let why = || format!("the collector answers with the status {status} of gRPC: {message}");
    match status {
        "0" => None,
        // CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS: OTLP asks to try again later.
        "1" | "4" | "10" | "11" | "14" | "15" => Some(Sent::Away(why())),
        // RESOURCE_EXHAUSTED is that too where it says when; else this message alone is too much.
        "8" if fields.contains_key("grpc-status-details-bin") => Some(Sent::Away(why())),
        _ => Some(Sent::Refused(why())),
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
        assert_eq!(concluded(&said("0")), None);
        assert!(matches!(concluded(&said("14")), Some(Sent::Away(why)) if why.contains("status 14")));
        for later in ["1", "4", "10", "11", "15"] {
            assert!(matches!(concluded(&said(later)), Some(Sent::Away(_))), "{later}");
        }
        assert!(matches!(concluded(&said("8")), Some(Sent::Refused(_))));
        let mut says_when = said("8");
        says_when.insert("grpc-status-details-bin", HeaderValue::from_static("CAg"));
        assert!(matches!(concluded(&says_when), Some(Sent::Away(_))));
        assert!(matches!(concluded(&said("3")), Some(Sent::Refused(why)) if why.contains("status 3")));
        assert!(matches!(concluded(&HeaderMap::new()), Some(Sent::Away(_))));
    }
}
