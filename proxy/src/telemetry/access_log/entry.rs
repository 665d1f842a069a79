//! What is gathered for one line.

use super::AccessLog;
use super::Format;
use super::json;
use super::text;
use crate::failure::Reason;
use crate::telemetry::Direction;
use http::StatusCode;
use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

/// Of a path with its query.
const LONGEST_PATH: usize = 1_024;
/// Of a method, an authority, a server name.
const LONGEST_NAME: usize = 256;

/// Where a request or connection came from, and where to.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Which side of the application.
    pub direction: Direction,
    /// The service, as in metrics.
    pub service: Arc<str>,
    /// Who connected; nothing for an in-process stream.
    pub client: Option<SocketAddr>,
    /// Where the client thinks it is connected to.
    pub destination: SocketAddr,
}

/// A line in the making. There is none while the log is off, so that nothing is gathered for nobody.
#[derive(Debug)]
pub struct Entry {
    log: Arc<AccessLog>,
    pub(super) time: SystemTime,
    pub(super) protocol: &'static str,
    pub(super) origin: Origin,
    pub(super) upstream: Option<SocketAddr>,
    pub(super) attempts: u32,
    pub(super) retry: Option<&'static str>,
    pub(super) answered_by: Option<&'static str>,
    pub(super) asked: Option<Asked>,
    pub(super) server_name: Option<String>,
    pub(super) received: Cell<u64>,
    pub(super) sent: Cell<u64>,
}

/// What a request asks for, as bytes of the client.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: Vec<u8>,
    pub(super) path: Vec<u8>,
    pub(super) authority: Option<Vec<u8>>,
}

/// How it ended.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::telemetry) struct Outcome {
    pub(in crate::telemetry) status: Option<StatusCode>,
    pub(in crate::telemetry) grpc_status: Option<u32>,
    pub(in crate::telemetry) failure: Option<Reason>,
    pub(in crate::telemetry) duration: Duration,
}

impl Entry {
    /// Of what begins now.
    pub fn new(log: Arc<AccessLog>, protocol: &'static str, origin: Origin) -> Box<Self> {
        Box::new(Self {
            log,
            time: SystemTime::now(),
            protocol,
            origin,
            upstream: None,
            attempts: 0,
            retry: None,
            answered_by: None,
            asked: None,
            server_name: None,
            received: Cell::new(0),
            sent: Cell::new(0),
        })
    }

    /// What the request asks for; what is too long is cut off.
    pub fn ask(&mut self, method: &[u8], path: &[u8], query: Option<&[u8]>, authority: Option<&[u8]>) {
        let mut whole = head(path, LONGEST_PATH).to_vec();
        if let Some(query) = query {
            whole.push(b'?');
            whole.extend_from_slice(head(query, LONGEST_PATH));
            whole.truncate(LONGEST_PATH);
        }
        self.asked = Some(Asked {
            method: head(method, LONGEST_NAME).to_vec(),
            path: whole,
            authority: authority.map(|authority| head(authority, LONGEST_NAME).to_vec()),
        });
    }

    /// The endpoint of the newest attempt, and how many there were.
    pub fn reach(&mut self, upstream: Option<SocketAddr>, attempts: u32) {
        (self.upstream, self.attempts) = (upstream, attempts);
    }

    /// There would have been another attempt, but for the retry budget.
    pub fn forbid_retry(&mut self) {
        self.retry = Some("forbidden");
    }

    /// The answer is a redirect or a direct response of the configuration.
    pub fn answer_by_configuration(&mut self) {
        self.answered_by = Some("configuration");
    }

    /// The connection begins as TLS, and its hello asks for this server, as far as it is here.
    pub fn name(&mut self, server: Option<String>) {
        self.protocol = "tls";
        self.server_name = server;
    }

    pub(in crate::telemetry) fn received(&self, bytes: u64) {
        self.received.set(self.received.get() + bytes);
    }

    pub(in crate::telemetry) fn sent(&self, bytes: u64) {
        self.sent.set(self.sent.get() + bytes);
    }

    /// Writes the line.
    pub(in crate::telemetry) fn end(&self, outcome: &Outcome) {
        self.log.send(match self.log.format {
            Format::Text => text::line(self, outcome),
            Format::Json => json::line(self, outcome),
        });
    }
}

fn head(bytes: &[u8], most: usize) -> &[u8] {
    &bytes[..bytes.len().min(most)]
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    /// An entry at a fixed time, of a log that writes nowhere.
    pub(in crate::telemetry::access_log) fn entry() -> Box<Entry> {
        let log = AccessLog::start(Format::Json, std::io::sink()).unwrap();
        let origin = Origin {
            direction: Direction::Outbound,
            service: "web:80".into(),
            client: Some("10.0.0.1:4321".parse().unwrap()),
            destination: "[fd00::1]:80".parse().unwrap(),
        };
        let mut entry = Entry::new(log, "http1", origin);
        entry.time = UNIX_EPOCH;
        entry
    }

    #[test]
    fn what_is_too_long_is_cut_off() {
        let mut entry = entry();
        let long = vec![b'a'; 5_000];
        entry.ask(&long, &long, Some(&long), Some(&long));
        let asked = entry.asked.unwrap();
        assert_eq!((asked.method.len(), asked.path.len()), (LONGEST_NAME, LONGEST_PATH));
        assert_eq!(asked.authority.unwrap().len(), LONGEST_NAME);
    }
}
