//! The harness's own HTTP client, for control ports and the operator's door: one request, one connection.

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;

use crate::namespace::Namespace;

/// A page that takes longer is broken.
const PATIENCE: Duration = Duration::from_secs(30);

/// A status and a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The status code.
    pub status: u16,
    /// The body, decoded as UTF-8.
    pub body: String,
}

/// `GET path`, from inside the namespace.
pub fn get(from: &Namespace, at: SocketAddr, path: &str) -> Result<Page> {
    request(from, at, "GET", path, "")
}

/// Any method, with a body.
///
/// In HTTP/1.0, so that the answer ends where the connection does and needs no framing of ours.
pub fn request(from: &Namespace, at: SocketAddr, method: &str, path: &str, body: &str) -> Result<Page> {
    let mut stream = from.connect(at)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {at}\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .with_context(|| format!("{method} http://{at}{path}"))?;
    page(&String::from_utf8_lossy(&answer)).with_context(|| format!("{method} http://{at}{path}"))
}

fn page(answer: &str) -> Result<Page> {
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .with_context(|| format!("no end of the head in {answer:?}"))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(Page {
        status: status.with_context(|| format!("no status in {head:?}"))?,
        body: body.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_status_and_a_body() {
        let answer = "HTTP/1.0 503 Service Unavailable\r\nX: y\r\n\r\nnot yet\n";
        assert_eq!(
            page(answer).unwrap(),
            Page {
                status: 503,
                body: "not yet\n".to_owned()
            }
        );
    }

    #[test]
    fn an_answer_cut_short_in_its_head_is_an_error() {
        assert!(page("HTTP/1.0 200 OK\r\nX:").is_err());
    }
}
