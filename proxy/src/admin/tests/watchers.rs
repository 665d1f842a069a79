//! `/events`: what goes on, once a second, for a few at once.

use super::House;
use super::ask;
use super::until;
use crate::admin::watchers::MOST;
use crate::telemetry::Direction;
use crate::telemetry::Protocol;
use crate::telemetry::RequestRecord;
use http::StatusCode;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Somebody who watches.
struct Watcher(BufReader<TcpStream>);

impl Watcher {
    async fn open(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET /events HTTP/1.1\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut watcher = Self(BufReader::new(stream));
        let head = watcher.line(|line| line.starts_with("HTTP/1.1 ")).await;
        assert_eq!(head.trim_end(), "HTTP/1.1 200 OK");
        let kind = watcher.line(|line| line.starts_with("content-type: ")).await;
        assert_eq!(kind.trim_end(), "content-type: text/event-stream");
        watcher
    }

    async fn line(&mut self, fits: impl Fn(&str) -> bool) -> String {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).await.unwrap() > 0, "the stream has ended");
            if fits(&line) {
                return line;
            }
        }
    }

    async fn event(&mut self) -> Value {
        let line = self.line(|line| line.starts_with("data: ")).await;
        serde_json::from_str(&line["data: ".len()..]).unwrap()
    }
}

#[tokio::test]
async fn what_goes_on_is_told_at_once_and_then_once_a_second() {
    let house = House::open();
    house.configure();
    let mut watcher = Watcher::open(house.admin).await;
    let first = watcher.event().await;
    assert_eq!(first["configuration"]["generation"], 7);
    assert_eq!(first["totals"][0]["figures"]["per_second"], Value::Null, "{first}");
    let web = first["clusters"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["service"] == "web:80");
    assert_eq!(web.unwrap()["endpoints"][0]["address"], "10.244.1.11:8080");

    let series = house.books[0].service(Direction::Outbound, "web:80");
    for status in [StatusCode::OK, StatusCode::OK, StatusCode::OK, StatusCode::BAD_GATEWAY] {
        let mut record = RequestRecord::new(&series, Protocol::Http1, Instant::now());
        record.set_status(status);
    }
    let since = Instant::now();
    let second = watcher.event().await;
    let figures = &second["services"][0]["figures"];
    assert_eq!((&figures["requests"], &figures["failed"]), (&4.into(), &1.into()));
    assert_eq!(figures["success"], 0.75);
    assert!(
        figures["per_second"].as_f64() > Some(0.0) && figures["p99_ms"].as_f64() > Some(0.0),
        "{figures}"
    );
    assert_eq!(second["services"][0]["protocols"], serde_json::json!(["http1"]));
    watcher.event().await;
    assert!(since.elapsed().as_millis() >= 900, "{:?}", since.elapsed());
}

#[tokio::test]
async fn nothing_is_looked_at_while_nobody_watches() {
    let house = House::open();
    assert!(house.watchers().is_idle());
    let mut watcher = Watcher::open(house.admin).await;
    watcher.event().await;
    assert!(!house.watchers().is_idle());
    drop(watcher);
    until("nobody watches", async || house.watchers().is_idle()).await;
    let mut again = Watcher::open(house.admin).await;
    assert_eq!(
        again.event().await["totals"][0]["figures"]["per_second"],
        Value::Null,
        "it begins anew"
    );
}

#[tokio::test]
async fn one_too_many_is_refused_and_none_has_to_go() {
    let house = House::open();
    let mut watchers = Vec::new();
    for _ in 0..MOST {
        let mut watcher = Watcher::open(house.admin).await;
        watcher.event().await;
        watchers.push(watcher);
    }
    assert_eq!(ask(house.admin, "HEAD", "/events", "").await.status, 503);
    let refused = ask(house.admin, "GET", "/events", "").await;
    assert_eq!(
        (refused.status, refused.body.as_str()),
        (503, "8 watch already, and none of them has to go for another\n")
    );
    for watcher in &mut watchers {
        watcher.event().await;
    }
    watchers.pop();
    until("there is room", async || {
        ask(house.admin, "HEAD", "/events", "").await.status == 200
    })
    .await;
    Watcher::open(house.admin).await.event().await;
}
