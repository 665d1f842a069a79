//! One end of a connection on which a test writes and reads bytes, HTTP/1 or anything.

use std::io;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// A connection, and what was read ahead.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    ahead: Vec<u8>,
}

/// A message of HTTP/1 as it stood on the wire, its body without chunks.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: String,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            ahead: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// The same for who may be refused.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await
    }

    /// Half-close: no more is sent.
    pub(crate) async fn finish(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Closes with a reset.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// The next head, its empty line included; `None` where the connection ends instead.
    pub(crate) async fn next_head(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.ahead.windows(4).position(|end| end == b"\r\n\r\n") {
                let head = self.ahead.drain(..at + 4).collect();
                return Some(String::from_utf8(head).unwrap());
            }
            if self.more().await.ok()? == 0 {
                assert!(
                    self.ahead.is_empty(),
                    "half a head: {:?}",
                    self.ahead.escape_ascii().to_string()
                );
                return None;
            }
        }
    }

    pub(crate) async fn head(&mut self) -> String {
        self.next_head().await.expect("a head")
    }

    pub(crate) async fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.ahead.len() < length {
            assert_ne!(
                self.more().await.unwrap(),
                0,
                "it ended after {} of {length} bytes",
                self.ahead.len()
            );
        }
        self.ahead.drain(..length).collect()
    }

    /// So many bytes; `None` where the connection ends before.
    pub(crate) async fn next_bytes(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.ahead.len() < length {
            if self.more().await.ok()? == 0 {
                return None;
            }
        }
        Some(self.ahead.drain(..length).collect())
    }

    /// Everything up to and with these bytes.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self.ahead.windows(end.len()).position(|bytes| bytes == end.as_bytes()) {
                let bytes = self.ahead.drain(..at + end.len()).collect();
                return String::from_utf8(bytes).unwrap();
            }
            assert_ne!(self.more().await.unwrap(), 0, "it ended before {end:?}");
        }
    }

    /// A whole message; a response that has neither length nor chunks ends with the connection.
    pub(crate) async fn message(&mut self) -> Message {
        self.next_message().await.expect("a message")
    }

    /// The status of the answer to a request.
    pub(crate) async fn status_of(&mut self, request: &str) -> u16 {
        self.send(request).await;
        self.message().await.status()
    }

    pub(crate) async fn next_message(&mut self) -> Option<Message> {
        let mut message = Message {
            head: self.next_head().await?,
            body: Vec::new(),
            trailers: String::new(),
        };
        if message.head.starts_with("HTTP/") && message.is_bodiless() {
            return Some(message);
        }
        if message.field("transfer-encoding").is_some() {
            (message.body, message.trailers) = self.chunks().await;
        } else if let Some(length) = message.field("content-length") {
            message.body = self.exactly(length.parse().unwrap()).await;
        } else if message.head.starts_with("HTTP/") {
            message.body = self.rest().await.unwrap();
        }
        Some(message)
    }

    async fn chunks(&mut self) -> (Vec<u8>, String) {
        let mut body = Vec::new();
        loop {
            let line = self.until("\r\n").await;
            let length = usize::from_str_radix(line.trim().split(';').next().unwrap(), 16).expect("a chunk's length");
            if length == 0 {
                break;
            }
            body.extend(self.exactly(length).await);
            assert_eq!(self.exactly(2).await, b"\r\n");
        }
        let mut trailers = String::new();
        loop {
            match self.until("\r\n").await.as_str() {
                "\r\n" => return (body, trailers),
                line => trailers.push_str(line),
            }
        }
    }

    /// Everything until the other side finishes; an error where it resets.
    pub(crate) async fn rest(&mut self) -> io::Result<Vec<u8>> {
        while self.more().await? > 0 {}
        Ok(std::mem::take(&mut self.ahead))
    }

    /// The same for who cares for the bytes and for the end.
    pub(crate) async fn read_on(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        let end = loop {
            match self.more().await {
                Ok(0) => break Ok(()),
                Ok(_) => {}
                Err(error) => break Err(error),
            }
        };
        bytes.append(&mut self.ahead);
        end
    }

    /// The same for who cares only for the bytes.
    pub(crate) async fn rest_lossy(&mut self) -> Vec<u8> {
        while self.more().await.is_ok_and(|read| read > 0) {}
        std::mem::take(&mut self.ahead)
    }

    async fn more(&mut self) -> io::Result<usize> {
        self.ahead.reserve(64 * 1024);
        self.stream.read_buf(&mut self.ahead).await
    }
}

impl Message {
    pub(crate) fn status(&self) -> u16 {
        self.head[9..12].parse().unwrap()
    }

    /// The first line.
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    /// The value of the first field of this name, in any case.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields(name).next()
    }

    pub(crate) fn fields(&self, name: &str) -> impl Iterator<Item = &str> {
        self.head.lines().filter_map(move |line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    fn is_bodiless(&self) -> bool {
        self.status() < 200 || [204, 304].contains(&self.status())
    }
}
