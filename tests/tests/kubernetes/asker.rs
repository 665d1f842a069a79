//! A client that asks one request after another on a connection that it keeps, to see when answers change.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::namespace::Namespace;
use evenkeel_tests::wait;

/// An answer that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Asker {
    to: SocketAddr,
    stream: BufReader<TcpStream>,
}

// === impl Asker ===

impl Asker {
    pub(crate) fn connect(from: &Namespace, to: SocketAddr) -> Result<Self> {
        let stream = from.connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            to,
            stream: BufReader::new(stream),
        })
    }

    /// One request; the name of the replica that answers it.
    pub(crate) fn ask(&mut self) -> Result<String> {
        write!(self.stream.get_mut(), "GET / HTTP/1.1\r\nHost: {}\r\n\r\n", self.to)?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            ensure!(self.stream.read_line(&mut head)? > 0, "it ended after {head:?}");
        }
        let head = head.to_ascii_lowercase();
        ensure!(head.starts_with("http/1.1 200 "), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.context("no length")?.parse()?];
        self.stream.read_exact(&mut body)?;
        Ok(String::from_utf8(body)?.trim_end().to_owned())
    }

    /// Asks until this replica answers; nothing may fail until then. How long that took since `begun`.
    pub(crate) fn until(&mut self, replica: &str, begun: Instant) -> Result<Duration> {
        let asked = wait::until(PATIENCE * 3, || match self.ask() {
            Ok(answer) => (answer == replica).then(|| Ok(begun.elapsed())),
            Err(error) => Some(Err(error)),
        });
        asked.with_context(|| format!("{replica} does not answer"))?
    }
}
