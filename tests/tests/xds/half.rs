//! Peers that do not even speak gRPC to the end: half a message, or no HTTP/2 at all.

use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::load::Spoken;

use crate::world::CONTROL_PLANE;
use crate::world::DEADLINE;
use crate::world::Protocol;
use crate::world::World;
use crate::world::goes_on;
use crate::world::nothing_failed;

/// RFC 9113 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Types of frames.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
/// Flags of frames.
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// What a peer says instead of a response.
#[derive(Debug, Clone, Copy)]
enum Peer {
    /// Ten bytes of a message of a thousand; then the connection ends.
    HalfMessage,
    /// The headers of an answer; then the connection ends.
    NoMessage,
    /// Another protocol.
    Text,
}

#[test]
fn half_a_message_changes_nothing_and_the_next_control_plane_is_obeyed() -> Result<()> {
    for (family, protocol) in Family::BOTH.into_iter().zip(Protocol::BOTH) {
        let (world, server, _mesh) = World::meshed(family, protocol)?;
        let load = world.load(Spoken::Http1)?;
        server.process().kill();
        for peer in [Peer::HalfMessage, Peer::NoMessage, Peer::Text] {
            let listener = world.client.listen(CONTROL_PLANE.into())?;
            meet(&listener, peer).with_context(|| format!("{peer:?}"))?;
            goes_on(&load)?;
            world.answers()?;
        }
        let server = world.server()?;
        server.wait_for(|request| request.r#type == "RouteConfiguration")?;
        server.apply(&[world.web(&[0, 1])])?;
        world.answers()?;
        nothing_failed(load)?;
    }
    Ok(())
}

/// Meets the proxy once as that peer, and again, to see that it has come back.
fn meet(listener: &TcpListener, peer: Peer) -> Result<()> {
    let (mut stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_nodelay(true)?;
    match peer {
        Peer::Text => stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")?,
        Peer::HalfMessage => {
            begin_answer(&mut stream)?;
            let message = [&[0][..], &1000_u32.to_be_bytes(), &[0x0a; 10]].concat();
            stream.write_all(&frame(DATA, 0, 1, &message))?;
        }
        Peer::NoMessage => begin_answer(&mut stream)?,
    }
    drop(stream);
    let (again, _) = listener.accept()?;
    drop(again);
    Ok(())
}

/// Up to the headers of the answer to the first stream.
fn begin_answer(stream: &mut TcpStream) -> Result<()> {
    let mut preface = [0; PREFACE.len()];
    stream.read_exact(&mut preface)?;
    ensure!(preface == PREFACE);
    stream.write_all(&frame(SETTINGS, 0, 0, &[]))?;
    stream.write_all(&frame(SETTINGS, ACK, 0, &[]))?;
    while read_frame(stream)? != HEADERS {}
    // `:status: 200` of the static table, and a literal without Huffman (RFC 7541 6.1 and 6.2.2; 31 is content-type).
    let mut fields = vec![0x88, 0x0f, 31 - 15];
    let value = b"application/grpc";
    fields.push(value.len() as u8);
    fields.extend(value);
    Ok(stream.write_all(&frame(HEADERS, END_HEADERS, 1, &fields))?)
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Reads a frame; returns its type.
fn read_frame(stream: &mut TcpStream) -> Result<u8> {
    let mut head = [0; 9];
    stream.read_exact(&mut head)?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    std::io::copy(&mut stream.take(length.into()), &mut std::io::sink())?;
    Ok(head[3])
}
