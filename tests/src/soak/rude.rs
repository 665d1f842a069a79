//! Clients that are gone, with a reset, before they have said or heard everything. Nobody answers for them; what counts is
//! that nothing of them stays.

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;

use anyhow::Result;

use crate::pod::Pod;
use crate::script::reset;
use crate::soak::traffic::Tally;

/// HTTP/2: the preface, empty SETTINGS, and `GET /` with authority `a` as HPACK's static table spells it.
const HTTP2: &[u8] =
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x06\x01\x05\0\0\0\x01\x82\x84\x86\x41\x01a";

/// Connections of a round: one of each without an answer, some again with one, two to the server that speaks first.
pub(super) const CONNECTIONS: u64 = LAST_WORDS.len() as u64 + 6;

/// Connections of a round that may be taken for opaque, by each proxy: half a request line, and words for a server that speaks
/// first.
pub(super) const OPAQUE: u64 = 2;

/// What they say before they go.
const LAST_WORDS: [&[u8]; 8] = [
    b"",
    b"GET / HT",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /second HTTP/1.1\r\nHo",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nthe beginning",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\nthe beginning",
    b"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    HTTP2,
];

/// Each of them once, without waiting for an answer and, where there is one, after its first bytes.
pub(super) fn round(client: &Pod, http: SocketAddr, banner: SocketAddr) -> Result<Tally> {
    for (number, &words) in LAST_WORDS.iter().enumerate() {
        leave(client, http, words, false)?;
        // Of these, everything is answered but what has no whole head.
        if !matches!(number, 0 | 1 | 4 | 5) {
            leave(client, http, words, true)?;
        }
    }
    leave(client, banner, b"", false)?;
    leave(client, banner, b"echo this", true)?;
    Ok(Tally::of(CONNECTIONS))
}

fn leave(client: &Pod, to: SocketAddr, words: &[u8], after_an_answer: bool) -> Result<()> {
    let mut stream = client.connect(to)?;
    stream.write_all(words)?;
    if after_an_answer {
        stream.read_exact(&mut [0; 1])?;
    }
    reset(stream)
}
