//! HTTP/2 frames by hand (RFC 9113 4.1), for what the `h2` crate would not send and does not show.

use super::wire::Wire;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

/// Of DATA and HEADERS.
pub(crate) const END_STREAM: u8 = 1;
/// Of SETTINGS and PING.
pub(crate) const ACK: u8 = 1;
/// Of HEADERS.
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;
pub(crate) const PRIORITISED: u8 = 32;

pub(crate) const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// A frame's bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A whole head in one HEADERS frame: literal fields of less than 127 bytes (RFC 7541 6.2.2).
pub(crate) fn head(flags: u8, stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(text.len() as u8);
            block.extend(text.as_bytes());
        }
    }
    frame(HEADERS, flags | END_HEADERS, stream, &block)
}

impl Wire {
    /// As a client begins.
    pub(crate) async fn begin_http2(&mut self) {
        self.send([PREFACE.as_bytes(), &frame(SETTINGS, 0, 0, &[])].concat())
            .await;
    }

    /// As a server begins.
    pub(crate) async fn accept_http2(&mut self) {
        self.until(PREFACE).await;
        self.send(frame(SETTINGS, 0, 0, &[])).await;
    }

    /// The next frame of this kind; what has to be answered before it is answered, but PING.
    pub(crate) async fn next(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.frame().await;
            if frame.kind == SETTINGS && frame.flags & ACK == 0 {
                self.send(self::frame(SETTINGS, ACK, 0, &[])).await;
            }
            if frame.kind == kind {
                return frame;
            }
        }
    }

    pub(crate) async fn frame(&mut self) -> Frame {
        self.next_frame().await.expect("a frame")
    }

    /// The next frame, whatever it is; `None` where the connection ends instead.
    pub(crate) async fn next_frame(&mut self) -> Option<Frame> {
        let head = self.next_bytes(9).await?;
        let [_, a, b, c, kind, flags, ref stream @ ..] = [&[0], head.as_slice()].concat()[..] else {
            unreachable!("nine bytes and one before them");
        };
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        Some(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes(stream.try_into().unwrap()),
            payload: self.next_bytes(length).await?,
        })
    }
}
