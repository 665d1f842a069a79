//! One request of HTTP/1 as bytes, and what came of it in a form that can be compared.

use std::io::BufRead;
use std::io::BufReader;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use evenkeel_tests::pod::Pod;

use crate::expected::IN_ANSWERS;
use crate::expected::IN_REQUESTS;

/// An answer that takes longer does not come.
const PATIENCE: Duration = Duration::from_secs(30);
/// Why an answer is ours.
const OWN: &str = "x-evenkeel-reason";

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was answered.
    Answer(Answer),
    /// The connection, or the stream, was closed or reset.
    Closed,
}

/// A connection of HTTP/1.
pub(crate) struct Connection(BufReader<TcpStream>);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Of the last one.
    pub(crate) status: u16,
    /// Of those before it (1xx).
    pub(crate) interim: Vec<u16>,
    /// Names in lower case, in order; without what is expected to differ. Trailers are among them.
    pub(crate) fields: Vec<(String, String)>,
    /// Without what is expected to differ.
    pub(crate) body: String,
    /// Whether the proxy made it because something was wrong, which ours says.
    own: bool,
}

impl Outcome {
    /// Takes away the words of an answer that a proxy made of itself: `ours` says whether it is one.
    pub(crate) fn without_own_words(ours: &mut Self, other: &mut Self) {
        if let (Self::Answer(ours), Self::Answer(other)) = (ours, other)
            && std::mem::take(&mut ours.own)
        {
            for answer in [ours, other] {
                answer.body.clear();
                // The body of an answer to a call of gRPC.
                answer.fields.retain(|field| field.0 != "grpc-message");
            }
        }
    }
}

/// A request for a path of a host.
pub(crate) fn get(host: &str, path: &str, fields: &[&str]) -> String {
    request("GET", host, path, fields)
}

pub(crate) fn request(method: &str, host: &str, path: &str, fields: &[&str]) -> String {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
    for field in fields {
        request += field;
        request += "\r\n";
    }
    request + "\r\n"
}

/// Sends it from inside the pod, on a connection of its own.
pub(crate) fn exchange(from: &Pod, to: SocketAddr, request: &[u8]) -> Result<Outcome> {
    match Connection::open(from, to)? {
        Some(mut connection) => connection.ask(request),
        None => Ok(Outcome::Closed),
    }
}

// === impl Connection ===

impl Connection {
    /// From inside the pod; `None`: it was closed at once.
    pub(crate) fn open(from: &Pod, to: SocketAddr) -> Result<Option<Self>> {
        let stream = match from.connect(to) {
            Ok(stream) => stream,
            Err(error) if is_end(error.root_cause().downcast_ref()) => return Ok(None),
            Err(error) => return Err(error),
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Some(Self(BufReader::new(stream))))
    }

    /// Sends it, and reads its answer.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Result<Outcome> {
        match self.0.get_mut().write_all(request) {
            Err(error) if is_end(Some(&error)) => return Ok(Outcome::Closed),
            written => written?,
        }
        let mut interim = Vec::new();
        loop {
            let Some(head) = head(&mut self.0)? else {
                return Ok(Outcome::Closed);
            };
            let status: u16 = head
                .split(' ')
                .nth(1)
                .and_then(|status| status.parse().ok())
                .context(head.clone())?;
            if status != 101 && status < 200 {
                interim.push(status);
                continue;
            }
            let mut fields: Vec<(String, String)> = head.lines().skip(1).filter_map(field).collect();
            fields.sort();
            let bodiless = request.starts_with(b"HEAD ") || matches!(status, 101 | 204 | 304);
            let body = if bodiless {
                String::new()
            } else {
                body(&mut self.0, &mut fields)?
            };
            return Ok(Outcome::Answer(comparable(status, interim, fields, &body)));
        }
    }

    /// Waits until the other side closes it; what it says before that is of no interest. Fails when it does not.
    pub(crate) fn ends(&mut self) -> Result<()> {
        match std::io::copy(&mut self.0, &mut std::io::sink()) {
            Err(error) if !is_end(Some(&error)) => Err(error).context("it was not closed"),
            _ => Ok(()),
        }
    }
}

/// Who is refused may hear it at any moment after the handshake, which always succeeds.
fn is_end(error: Option<&std::io::Error>) -> bool {
    error.is_some_and(|error| matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe))
}

/// `None`: there is none.
fn head(stream: &mut BufReader<TcpStream>) -> Result<Option<String>> {
    let mut head = String::new();
    // A head, or trailers, of which there may be none.
    while !head.ends_with("\r\n\r\n") && head != "\r\n" {
        match stream.read_line(&mut head) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(error) if is_end(Some(&error)) => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("after {head:?}")),
        }
    }
    Ok(Some(head))
}

fn field(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.to_ascii_lowercase(), value.trim().to_owned()))
}

/// Trailers go to the fields.
fn body(stream: &mut BufReader<TcpStream>, fields: &mut Vec<(String, String)>) -> Result<String> {
    let value = |name: &str| {
        let field = fields.iter().find(|field| field.0 == name);
        field.map(|field| field.1.as_str())
    };
    let mut body = Vec::new();
    if let Some(length) = value("content-length") {
        stream.by_ref().take(length.parse()?).read_to_end(&mut body)?;
    } else if value("transfer-encoding").is_some() {
        loop {
            let mut line = String::new();
            stream.read_line(&mut line)?;
            let size = u64::from_str_radix(line.trim(), 16).with_context(|| line.clone())?;
            stream.by_ref().take(size).read_to_end(&mut body)?;
            if size == 0 {
                break;
            }
            stream.read_line(&mut String::new())?;
        }
        let trailers = head(stream)?.context("no end of the body")?;
        fields.extend(trailers.lines().filter_map(field));
    } else {
        stream.read_to_end(&mut body)?;
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// Takes away what is expected to differ.
pub(crate) fn comparable(status: u16, interim: Vec<u16>, mut fields: Vec<(String, String)>, body: &str) -> Answer {
    let has = |name: &str| fields.iter().any(|field| field.0 == name);
    let mirrored = has("x-mirror");
    let own = has(OWN);
    fields.retain(|(name, _)| !IN_ANSWERS.iter().any(|expected| expected.covers(name)));
    let body = if mirrored {
        let lines = body.lines().filter(|line| {
            let name = line.split_once(": ").map_or("", |field| field.0);
            !IN_REQUESTS.iter().any(|expected| expected.covers(name))
        });
        lines.collect::<Vec<_>>().join("\n")
    } else {
        body.to_owned()
    };
    Answer {
        status,
        interim,
        fields,
        body,
        own,
    }
}
