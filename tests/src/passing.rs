//! An application that answers a request once another service has answered the one that it made for it, with the headers of
//! traces passed on: all that tracing asks of applications.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;

use crate::pod::Pod;

/// What is passed on.
const PASSED: [&str; 9] = [
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
];

/// The heads of the requests that it got, line by line. It runs as long as the test.
#[derive(Clone, Debug, Default)]
pub struct Passing {
    heads: Arc<Mutex<Vec<Vec<String>>>>,
}

// === impl Passing ===

impl Passing {
    /// Listens on `port` of the pod, over both families, and asks `next`, if there is one.
    pub fn start(pod: &Pod, port: u16, next: Option<SocketAddr>) -> Result<Self> {
        let listener = pod.listen(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)))?;
        let passing = Self::default();
        let (own, pod) = (passing.clone(), pod.clone());
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let (own, pod) = (own.clone(), pod.clone());
                std::thread::spawn(move || own.serve(&pod, connection, next));
            }
        });
        Ok(passing)
    }

    /// The values of a header, of each request that had one.
    pub fn values(&self, name: &str) -> Vec<String> {
        let heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = heads.iter().flatten().filter_map(|line| line.split_once(':'));
        let of_name = lines.filter(|(other, _)| other.eq_ignore_ascii_case(name));
        of_name.map(|(_, value)| value.trim().to_owned()).collect()
    }

    fn serve(&self, pod: &Pod, connection: TcpStream, next: Option<SocketAddr>) -> Result<()> {
        let mut reader = BufReader::new(connection);
        while let Some(head) = read(&mut reader)? {
            let passed: Vec<_> = head.iter().filter(|line| is_passed(line)).cloned().collect();
            self.heads.lock().unwrap_or_else(PoisonError::into_inner).push(head);
            if let Some(next) = next {
                ask(pod, next, &passed)?;
            }
            reader
                .get_mut()
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n")?;
        }
        Ok(())
    }
}

fn is_passed(line: &str) -> bool {
    let name = line.split(':').next().unwrap_or_default();
    PASSED.iter().any(|passed| name.eq_ignore_ascii_case(passed))
}

/// The lines of a head; `None`: the client is done.
fn read(reader: &mut impl BufRead) -> Result<Option<Vec<String>>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => return Ok(Some(lines)),
            line => lines.push(line.to_owned()),
        }
    }
}

/// A GET with these lines that must succeed.
pub fn ask(pod: &Pod, to: SocketAddr, lines: &[String]) -> Result<()> {
    let mut connection = pod.connect(to)?;
    let lines: Vec<u8> = lines
        .iter()
        .flat_map(|line| [line.as_bytes(), b"\r\n"])
        .flatten()
        .copied()
        .collect();
    connection.write_all(b"GET /passed?on=1 HTTP/1.1\r\nHost: next\r\nConnection: close\r\n")?;
    connection.write_all(&[&lines, &b"\r\n"[..]].concat())?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).context("no answer")?;
    ensure!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    Ok(())
}
