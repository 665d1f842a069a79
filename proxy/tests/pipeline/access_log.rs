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
use evenkeel_proxy::telemetry::access_log::AccessLog;
use evenkeel_proxy::telemetry::access_log::Format;
use http::Request;
use serde_json::Value;
use std::io;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

/// What was written.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

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
        let page = Page::default();
        let log = AccessLog::start(Format::Json, page.clone()).unwrap();
        let bench = Bench::logging(document, Some(Arc::clone(&log)));
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
