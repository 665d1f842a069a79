//! A client that writes what it is told to and reads an answer of either version of HTTP off the wire.

use std::io;

use evenkeel_proxy::net::stream::Stream;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;

use crate::prologues::Spoken;

pub(crate) struct Client {
    stream: Stream,
    ahead: Vec<u8>,
    /// Of a write. The system tells of a reset once, and a read that comes after it finds an ordinary end.
    error: Option<io::Error>,
}

/// Who answered a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    By(usize),
    /// The proxy itself.
    ByMesh,
}

impl Client {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream,
            ahead: Vec::new(),
            error: None,
        }
    }

    /// Whether it arrives is told by what comes back.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.error = self.stream.write_all(bytes).await.err().or(self.error.take());
    }

    pub(crate) async fn finish(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// Everything up to the end; an error where that is a reset.
    pub(crate) async fn rest(&mut self) -> io::Result<Vec<u8>> {
        while self.more().await? > 0 {}
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        Ok(std::mem::take(&mut self.ahead))
    }

    pub(crate) async fn exactly(&mut self, length: usize) -> Result<Vec<u8>, String> {
        while self.ahead.len() < length {
            if self.more().await.map_err(|error| error.to_string())? == 0 {
                return Err(format!("it ended after {:?}", self.ahead.escape_ascii().to_string()));
            }
        }
        Ok(self.ahead.drain(..length).collect())
    }

    /// Puts back what was only looked at.
    pub(crate) fn unread(&mut self, bytes: Vec<u8>) {
        self.ahead.splice(..0, bytes);
    }

    /// Who answered; `stream` counts for HTTP/2.
    pub(crate) async fn answer(&mut self, spoken: Spoken, stream: u8) -> Result<Answered, String> {
        let (body, by_mesh) = match spoken {
            Spoken::Http2 => {
                let body = self.http2(stream).await?;
                let by_mesh = body.len() != 1;
                (body, by_mesh)
            }
            _ => self.http1().await?,
        };
        match (body.as_slice(), by_mesh) {
            (_, true) => Ok(Answered::ByMesh),
            ([digit @ b'0'..=b'9'], false) => Ok(Answered::By(usize::from(digit - b'0'))),
            _ => Err(format!("nobody's answer: {:?}", body.escape_ascii().to_string())),
        }
    }

    async fn http1(&mut self) -> Result<(Vec<u8>, bool), String> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push(char::from(self.exactly(1).await?[0]));
        }
        let head = head.to_ascii_lowercase();
        let length = head
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.lines().next());
        let length = length.and_then(|length| length.parse().ok());
        let body = self.exactly(length.ok_or(format!("no length: {head:?}"))?).await?;
        let by_mesh = head.starts_with("http/1.1 502 ") && head.contains("\r\nx-evenkeel-reason: ");
        Ok((body, by_mesh))
    }

    /// All DATA of the stream.
    async fn http2(&mut self, stream: u8) -> Result<Vec<u8>, String> {
        let mut body = Vec::new();
        loop {
            let header = self.exactly(9).await?;
            let length = usize::from(header[1]) << 8 | usize::from(header[2]);
            let payload = self.exactly(length).await?;
            match (header[3], header[8] == stream) {
                (3, true) | (7, _) => return Err(format!("reset or goodbye: {header:?} {payload:?}")),
                (0, true) => body.extend(payload),
                _ => {}
            }
            if matches!(header[3], 0 | 1) && header[8] == stream && header[4] & 1 == 1 {
                return Ok(body);
            }
        }
    }

    async fn more(&mut self) -> io::Result<usize> {
        self.stream.read_buf(&mut self.ahead).await
    }
}
