//! The access log: what it says of requests and connections, however they end.

use crate::support::Bench;
use crate::support::ask::Answer;
use crate::support::ask::Content;
use crate::support::ask::PAIRINGS;
use crate::support::ask::Version;
use crate::support::document;
use crate::support::document_of;
use crate::support::family::Family;
use crate::support::nobody;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::settle;
use crate::support::web;
use crate::traces::hearing;
use evenkeel_control_api::mesh;
use evenkeel_control_api::mesh::settings;
use evenkeel_control_api::mesh::settings::Lines;
use evenkeel_proxy::telemetry::access_log::AccessLog;
use evenkeel_proxy::telemetry::trace::Tracer;
use http::Request;
use http::StatusCode;
use serde_json::Value;
use std::io;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

/// What was written.
#[derive(Clone, Default)]
pub(crate) struct Page(pub(crate) Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A proxy with an access log.
struct Logging {
    bench: Bench,
    log: Arc<AccessLog>,
    page: Page,
}

impl Logging {
    fn new(document: &str) -> Self {
        Self::with(settings::AccessLog::all(Lines::Json), document)
    }

    /// With what a mesh document says of the access log.
    fn configured(access_log: &str, document: &str) -> Self {
        let text = format!("proxy:\n  access_log: {access_log}\n");
        let loaded = mesh::load(&text).unwrap_or_else(|faults| panic!("{faults}"));
        Self::with(loaded.settings.access_log.unwrap(), document)
    }

    fn with(settings: settings::AccessLog, document: &str) -> Self {
        let page = Page::default();
        let log = AccessLog::start(settings, page.clone()).unwrap();
        let bench = Bench::logging(document, Some(&log));
        Self { bench, log, page }
    }

    /// The lines of what has ended by now.
    async fn lines(&self) -> Vec<Value> {
        settle().await;
        self.log.flush(Duration::from_secs(10));
        let page = self.page.0.lock().unwrap();
        let lines = page.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
    }
}

#[test]
fn a_request_is_a_line_in_every_pairing() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            let server = Server::answering(endpoint, |ask| Answer::new(ask.into_body())).await;
            let logging = Logging::new(&document(endpoint.protocol(), [&server]));
            let ask = Request::post("http://web.test/a%20b?c=d").body(Content::from("hello"));
            logging.bench.ask(client, ask.unwrap()).await;
            let lines = logging.lines().await;
            assert_eq!(lines.len(), 1, "{client:?} to {endpoint:?}");
            let protocol = match client {
                Version::One => "http1",
                Version::Two => "http2",
            };
            for (key, value) in [
                ("direction", Value::from("outbound")),
                ("protocol", protocol.into()),
                ("service", "web.test:80".into()),
                ("destination", web().to_string().into()),
                ("upstream", server.address.to_string().into()),
                ("method", "POST".into()),
                ("path", "/a%20b?c=d".into()),
                ("authority", "web.test".into()),
                ("status", 200.into()),
                ("failure", Value::Null),
                ("attempts", 1.into()),
                ("received_bytes", 5.into()),
                ("sent_bytes", 5.into()),
            ] {
                assert_eq!(lines[0][key], value, "{key}: {client:?} to {endpoint:?}");
            }
            let peer: SocketAddr = lines[0]["client"].as_str().unwrap().parse().unwrap();
            assert_eq!(peer.ip(), Family::current().loopback());
        }
    });
}

#[test]
fn a_request_that_fails_says_why_where_and_after_how_many_attempts() {
    over_both_families(async || {
        for client in [Version::One, Version::Two] {
            let (one, other) = (nobody(), nobody());
            let logging = Logging::new(&document_of("http", [one.address, other.address]));
            let ask = Request::get("http://web.test/").body(Content::default()).unwrap();
            assert_eq!(logging.bench.ask(client, ask).await.status(), 503, "{client:?}");
            let lines = logging.lines().await;
            assert_eq!(lines.len(), 1);
            assert_eq!(
                (&lines[0]["status"], &lines[0]["failure"], &lines[0]["attempts"]),
                (&503.into(), &"connect_refused".into(), &2.into())
            );
            let upstream = lines[0]["upstream"].as_str().unwrap().parse().unwrap();
            assert!([one.address, other.address].contains(&upstream));
        }
    });
}

#[test]
fn an_opaque_connection_is_a_line_when_it_ends() {
    over_both_families(async || {
        let server = Server::echoing().await;
        let logging = Logging::new(&document("tcp", [&server]));
        let mut client = logging.bench.http1().await;
        client.send("hello").await;
        settle().await;
        assert_eq!(logging.lines().await.len(), 0);
        client.finish().await;
        assert_eq!(client.rest().await.unwrap(), b"hello");
        drop(client);
        let lines = logging.lines().await;
        assert_eq!(lines.len(), 1);
        for (key, value) in [
            ("protocol", Value::from("tcp")),
            ("service", "web.test:80".into()),
            ("upstream", server.address.to_string().into()),
            ("failure", Value::Null),
            ("received_bytes", 5.into()),
            ("sent_bytes", 5.into()),
        ] {
            assert_eq!(lines[0][key], value, "{key}");
        }
    });
}

/// What is told of an exchange in any pairing.
const TEMPLATE: &str = r#"{format: json, template: {
    asked: "%REQ(:METHOD)% %PATH(NQ)% %PROTOCOL% %REQ(:AUTHORITY)%", agent: "%REQ(USER-AGENT)%", none: "%REQ(x-none)%",
    server: "%RESP(X-SERVER)%", trailer: "%TRAILER(x-end)%", status: "%RESPONSE_CODE%", details: "%RESPONSE_CODE_DETAILS%",
    flags: "%RESPONSE_FLAGS%", reason: "%REASON%", way: "%UPSTREAM_HOST% %UPSTREAM_PROTOCOL% %UPSTREAM_CLUSTER%",
    raw: "%UPSTREAM_CLUSTER_RAW%", trace: "%TRACE_ID%", bytes: "%BYTES_RECEIVED%", took: "%DURATION%", first: "%RESPONSE_DURATION%"
    }}"#;

#[test]
fn a_template_tells_of_both_heads_and_of_trailers_in_every_pairing() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            let server = Server::answering(endpoint, |ask| {
                let mut content = Content::from("done");
                content.trailers.insert("x-end", "bye".parse().unwrap());
                let mut answer = Answer::new(content);
                assert_eq!(ask.method(), "POST");
                answer.headers_mut().insert("x-server", "one".parse().unwrap());
                answer
            })
            .await;
            let logging = Logging::configured(TEMPLATE, &document(endpoint.protocol(), [&server]));
            let ask = Request::post("http://web.test/a?b=c")
                .header("user-agent", "test")
                .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
                .body(Content::from("hello"));
            logging.bench.ask(client, ask.unwrap()).await;
            let lines = logging.lines().await;
            assert_eq!(lines.len(), 1, "{client:?} to {endpoint:?}");
            let name = |version| match version {
                Version::One => "HTTP/1.1",
                Version::Two => "HTTP/2",
            };
            // Between HTTP/1 and HTTP/1 trailers pass unread.
            let unread = (client, endpoint) == (Version::One, Version::One);
            for (key, value) in [
                ("asked", Value::from(format!("POST /a {} web.test", name(client)))),
                ("agent", "test".into()),
                ("none", Value::Null),
                ("server", "one".into()),
                ("trailer", if unread { Value::Null } else { "bye".into() }),
                ("status", 200.into()),
                ("details", "via_upstream".into()),
                ("flags", Value::Null),
                ("reason", Value::Null),
                (
                    "way",
                    format!("{} {} web.test:80", server.address, name(endpoint)).into(),
                ),
                ("raw", "outbound|80||web.test".into()),
                ("trace", "0af7651916cd43dd8448eb211c80319c".into()),
                ("bytes", 5.into()),
            ] {
                assert_eq!(lines[0][key], value, "{key}: {client:?} to {endpoint:?}");
            }
            let (took, first) = (lines[0]["took"].as_u64().unwrap(), lines[0]["first"].as_u64().unwrap());
            assert!(first <= took, "{first} ms of {took} ms");
        }
    });
}

#[test]
fn a_template_tells_what_went_wrong_as_envoy_calls_it() {
    over_both_families(async || {
        for client in [Version::One, Version::Two] {
            let (one, other) = (nobody(), nobody());
            let logging = Logging::configured(TEMPLATE, &document_of("http", [one.address, other.address]));
            let ask = Request::get("http://web.test/").body(Content::default()).unwrap();
            logging.bench.ask(client, ask).await;
            let line = &logging.lines().await[0];
            assert_eq!(
                (&line["flags"], &line["reason"], &line["first"]),
                (&"UF,URX".into(), &"connect_refused".into(), &Value::Null),
                "{client:?}"
            );
        }
    });
}

#[test]
fn a_filter_lets_through_what_it_says_and_nothing_else() {
    over_both_families(async || {
        let server = Server::answering(Version::One, |ask| {
            let status: u16 = ask.uri().path()[1..].parse().unwrap();
            let mut answer = Answer::new(Content::default());
            *answer.status_mut() = StatusCode::from_u16(status).unwrap();
            answer
        })
        .await;
        for (filter, expected) in [
            ("{status: [404, 5xx]}", vec![404, 500, 503]),
            ("{failed: true}", vec![500, 503]),
            ("{status: 404, failed: true}", vec![]),
            ("{duration: 1h}", vec![]),
            ("{duration: 0s}", vec![200, 404, 500, 503]),
        ] {
            let access_log = format!("{{format: json, filter: {filter}}}");
            let logging = Logging::configured(&access_log, &document("http", [&server]));
            for status in [200, 404, 500, 503] {
                let ask = Request::get(format!("http://web.test/{status}")).body(Content::default());
                logging.bench.ask(Version::One, ask.unwrap()).await;
            }
            let lines = logging.lines().await;
            let statuses: Vec<_> = lines.iter().map(|line| line["status"].as_u64().unwrap()).collect();
            assert_eq!(statuses, expected, "{filter}");
        }
    });
}

#[test]
fn a_sample_is_a_share_by_chance() {
    over_both_families(async || {
        let server = Server::answering(Version::One, |ask| Answer::new(ask.into_body())).await;
        let access_log = "{format: json, filter: {sample: 50%}}";
        let logging = Logging::configured(access_log, &document("http", [&server]));
        for _ in 0..200 {
            let ask = Request::get("http://web.test/").body(Content::default()).unwrap();
            logging.bench.ask(Version::One, ask).await;
        }
        // Outside of these it is once in a hundred million times.
        let lines = logging.lines().await.len();
        assert!((60..=140).contains(&lines), "{lines}");
    });
}

#[test]
fn with_tracing_a_line_has_the_trace_that_the_request_goes_on_with() {
    over_both_families(async || {
        for access_log in ["json", "{format: json, template: {trace_id: \"%TRACE_ID%\"}}"] {
            let (server, heard) = hearing(Version::One).await;
            let text = format!(
                "tracing: {{collector: \"http://127.0.0.1:9\", sample: 100%}}\nproxy:\n  access_log: {access_log}\n"
            );
            let settings = mesh::load(&text).unwrap().settings;
            let (tracer, _exporter) = Tracer::new(settings.tracing.as_ref().unwrap(), None).unwrap();
            let page = Page::default();
            let log = AccessLog::start(settings.access_log.unwrap(), page.clone()).unwrap();
            let bench = Bench::observed(&document("http", [&server]), Some(&log), Some(&tracer));
            let logging = Logging { bench, log, page };
            let came = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
            // Of one that is malformed nothing is taken over.
            for traceparent in [came, "00-0af7651916cd43dd8448eb211c80319c-01"] {
                let ask = Request::get("http://web.test/").header("traceparent", traceparent);
                logging
                    .bench
                    .ask(Version::One, ask.body(Content::default()).unwrap())
                    .await;
            }
            let lines = logging.lines().await;
            let heads = heard.borrow();
            let onward = heads.iter().map(|head| &head["traceparent"].to_str().unwrap()[3..35]);
            let onward: Vec<_> = onward.collect();
            let told: Vec<_> = lines.iter().map(|line| line["trace_id"].as_str().unwrap()).collect();
            assert_eq!(told, onward, "{access_log}");
            assert_eq!(told[0], &came[3..35]);
            assert_ne!(told[0], told[1]);
        }
    });
}
