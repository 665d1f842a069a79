//! Clients that send a piece, wait, and read a piece, over HTTP/1 and over plain TCP: every buffer on the way is full at one
//! time and empty at another.

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Result;
use anyhow::ensure;

use crate::pod::Pod;
use crate::soak::traffic::Tally;

/// Connections of each protocol, all at the same time.
const CONNECTIONS: usize = 8;
/// What each sends and has echoed: more than the sockets on the way hold.
const BODY: usize = 2 << 20;
/// At a time.
const PIECE: usize = 64 << 10;
/// Between two pieces: this is what makes them slow, nothing is waited for.
const PAUSE: Duration = Duration::from_millis(5);
/// A read that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// All of them once.
pub(super) fn round(client: &Pod, http: SocketAddr, banner: SocketAddr) -> Result<Tally> {
    let mut requests = dial(client, http)?;
    let head = format!("POST / HTTP/1.1\r\nHost: {http}\r\nContent-Length: {BODY}\r\n\r\n");
    each_in_pieces(&mut requests, head.as_bytes(), 16, |stream, piece| {
        Ok(stream.write_all(piece)?)
    })?;
    each_in_pieces(&mut requests, &body(), PIECE, |stream, piece| {
        Ok(stream.write_all(piece)?)
    })?;
    for stream in &mut requests {
        let head = head_of(stream)?;
        ensure!(head.starts_with("HTTP/1.1 200 "), "slow POST: {head}");
    }
    each_in_pieces(&mut requests, &body(), PIECE, echoed)?;

    let mut opaque = dial(client, banner)?;
    for stream in &mut opaque {
        stream.read_exact(&mut [0; "r1\r\n".len()])?;
    }
    each_in_pieces(&mut opaque, &body(), PIECE, |stream, piece| {
        stream.write_all(piece)?;
        echoed(stream, piece)
    })?;
    Ok(Tally::of(2 * CONNECTIONS as u64))
}

fn dial(client: &Pod, to: SocketAddr) -> Result<Vec<TcpStream>> {
    let one = |_| -> Result<TcpStream> {
        let stream = client.connect(to)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    };
    (0..CONNECTIONS).map(one).collect()
}

/// Goes through `bytes` a piece at a time, on all connections in step.
fn each_in_pieces(
    streams: &mut [TcpStream],
    bytes: &[u8],
    size: usize,
    step: impl Fn(&mut TcpStream, &[u8]) -> Result<()>,
) -> Result<()> {
    for piece in bytes.chunks(size) {
        for stream in &mut *streams {
            step(stream, piece)?;
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn echoed(stream: &mut TcpStream, piece: &[u8]) -> Result<()> {
    let mut heard = vec![0; piece.len()];
    stream.read_exact(&mut heard)?;
    ensure!(heard == piece, "the echo is not what was said");
    Ok(())
}

/// A head, byte for byte, so that nothing behind it is taken.
fn head_of(stream: &mut TcpStream) -> Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// No two pieces are alike, so that bytes out of order are seen.
fn body() -> Vec<u8> {
    (0..BODY as u32 / 4)
        .flat_map(|number| number.wrapping_mul(0x9e37_79b9).to_be_bytes())
        .collect()
}
