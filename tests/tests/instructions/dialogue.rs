//! Clients and endpoints that exchange fixed bytes, each of them blocking. One message is under way at a time, or a whole batch of
//! them, so that the proxy's turns are the same in every run.

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Barrier;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::pod::Pod;

use crate::workload::BATCH;
use crate::workload::RECORDED;

/// Longer than any answer takes, under valgrind and on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Kept connections that take turns: with two workers, each has one.
const CONNECTIONS: usize = 2;

/// A message, and the answer to it; either is over when its last bytes were heard, whatever the proxy changed before them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialogue {
    request: &'static [u8],
    /// Of a trace that is recorded.
    recorded: &'static [u8],
    request_ends: &'static [u8],
    answer: &'static [u8],
    answer_ends: &'static [u8],
}

// === impl Dialogue ===

impl Dialogue {
    /// A small request with what clients usually send, and an answer to match.
    pub(crate) const HTTP1: Self = Self {
        request: b"GET /orders/17?full=1 HTTP/1.1\r\nHost: orders.example\r\nUser-Agent: instructions/1\r\nAccept: */*\r\n\r\n",
        recorded: b"GET /orders/17?full=1 HTTP/1.1\r\nHost: orders.example\r\nUser-Agent: instructions/1\r\nAccept: */*\r\n\
            traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n",
        request_ends: b"\r\n\r\n",
        answer: b"HTTP/1.1 200 OK\r\nServer: endpoint\r\nContent-Type: text/plain\r\nContent-Length: 32\r\n\r\n\
            a small answer of 32 bytes, end\n",
        answer_ends: b" end\n",
    };

    /// The same from a client that wants no second one.
    pub(crate) const HTTP1_CLOSE: Self = Self {
        request:
            b"GET /orders/17?full=1 HTTP/1.1\r\nHost: orders.example\r\nUser-Agent: instructions/1\r\nAccept: */*\r\n\
            Connection: close\r\n\r\n",
        ..Self::HTTP1
    };

    /// 64 bytes each way that are no protocol.
    pub(crate) const OPAQUE: Self = Self {
        request: b"\x00 a message of 64 bytes that nothing can take for a protocol\x01\x02\x03\n",
        recorded: b"\x00 a message of 64 bytes that nothing can take for a protocol\x01\x02\x03\n",
        request_ends: b"\x03\n",
        answer: b"\x00 an answer of 64 bytes that nothing can take for a protocol \x01\x02\x04\n",
        answer_ends: b"\x04\n",
    };
}

/// Asks on connections that are kept, which take turns.
pub(crate) fn keep(from: &Pod, to: SocketAddr, dialogue: &Dialogue, requests: usize) -> Result<()> {
    let mut connections = (0..CONNECTIONS)
        .map(|_| connect(from, to))
        .collect::<Result<Vec<_>>>()?;
    for request in 0..requests {
        let connection = &mut connections[request % CONNECTIONS];
        connection.write_all(if (request + 1).is_multiple_of(RECORDED) {
            dialogue.recorded
        } else {
            dialogue.request
        })?;
        ensure!(hear(connection, dialogue.answer_ends)?, "closed at request {request}");
    }
    Ok(())
}

/// Asks on a new connection each time, in whole batches.
///
/// One at a time, the proxy would race the client for whether a request is there when its connection is looked at, and would go
/// one way or the other (3 % from run to run). While a batch is opened it is busy with those before.
pub(crate) fn reconnect(from: &Pod, to: SocketAddr, dialogue: &Dialogue, requests: usize) -> Result<()> {
    ensure!(requests.is_multiple_of(BATCH), "{requests} are no whole batches");
    from.enter(|| (0..requests / BATCH).try_for_each(|_| batch(to, dialogue)))?
}

fn batch(to: SocketAddr, dialogue: &Dialogue) -> Result<()> {
    let mut connections = Vec::new();
    for _ in 0..BATCH {
        let mut connection = TcpStream::connect(to)?;
        connection.write_all(dialogue.request)?;
        connections.push(connection);
    }
    for mut connection in connections {
        connection.set_read_timeout(Some(PATIENCE))?;
        ensure!(hear(&mut connection, dialogue.answer_ends)?, "closed without an answer");
        ensure!(!hear(&mut connection, b"")?, "more than one answer");
    }
    Ok(())
}

/// Answers on every connection of all these listeners, from threads that last as long as the test's process; `together` says
/// how many requests have to be there before any is answered.
pub(crate) fn serve(listeners: Vec<TcpListener>, dialogue: Dialogue, together: usize) {
    let complete = Arc::new(Barrier::new(together));
    for listener in listeners {
        let complete = Arc::clone(&complete);
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let complete = Arc::clone(&complete);
                // A connection that fails is the client's failure, too, and told there.
                std::thread::spawn(move || answer(connection, dialogue, &complete));
            }
        });
    }
}

fn answer(mut connection: TcpStream, dialogue: Dialogue, complete: &Barrier) -> Result<()> {
    connection.set_nodelay(true)?;
    while hear(&mut connection, dialogue.request_ends)? {
        complete.wait();
        connection.write_all(dialogue.answer)?;
    }
    Ok(())
}

fn connect(from: &Pod, to: SocketAddr) -> Result<TcpStream> {
    let connection = from.connect(to)?;
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    Ok(connection)
}

/// Reads a message that ends so; false when the peer has closed instead.
fn hear(connection: &mut TcpStream, end: &[u8]) -> Result<bool> {
    let mut heard = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let count = connection.read(&mut buffer).context("no answer")?;
        if count == 0 {
            ensure!(heard.is_empty(), "closed after {}", String::from_utf8_lossy(&heard));
            return Ok(false);
        }
        heard.extend_from_slice(&buffer[..count]);
        if heard.ends_with(end) {
            return Ok(true);
        }
    }
}
