//! Frames that no client may send.

use super::REQUEST;
use super::Stage;
use crate::support::ask::Version;
use crate::support::frames::ACK;
use crate::support::frames::CONTINUATION;
use crate::support::frames::DATA;
use crate::support::frames::END_HEADERS;
use crate::support::frames::END_STREAM;
use crate::support::frames::GOAWAY;
use crate::support::frames::HEADERS;
use crate::support::frames::PADDED;
use crate::support::frames::PING;
use crate::support::frames::PRIORITISED;
use crate::support::frames::PUSH_PROMISE;
use crate::support::frames::RST_STREAM;
use crate::support::frames::SETTINGS;
use crate::support::frames::WINDOW_UPDATE;
use crate::support::frames::frame;
use crate::support::frames::head;
use crate::support::over_both_families;

/// Frames that break the protocol of the connection or of its streams, as clients send them after their SETTINGS (RFC 9113 4 to 6).
fn violations() -> Vec<(&'static str, Vec<u8>)> {
    let begun = head(0, 1, &REQUEST);
    let block = &begun[9..];
    let padded = [&[200][..], block].concat();
    let dependent = [&1_u32.to_be_bytes()[..], &[16], block].concat();
    let after = |frame: Vec<u8>| [&begun[..], &frame].concat();
    vec![
        ("a stream of a server", head(END_STREAM, 2, &REQUEST)),
        ("a head on stream 0", head(END_STREAM, 0, &REQUEST)),
        ("data on stream 0", frame(DATA, 0, 0, b"a")),
        ("data before the head", frame(DATA, END_STREAM, 1, b"a")),
        ("a reset before the head", frame(RST_STREAM, 0, 1, &[0; 4])),
        ("a window before the head", frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])),
        ("a window that does not grow", frame(WINDOW_UPDATE, 0, 0, &[0; 4])),
        (
            "a window of a stream that does not grow",
            after(frame(WINDOW_UPDATE, 0, 1, &[0; 4])),
        ),
        (
            "a window beyond all",
            frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
        ),
        (
            "a promise of a client",
            frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2, 0x82]),
        ),
        ("a continuation of nothing", frame(CONTINUATION, END_HEADERS, 1, block)),
        (
            "data amid a head",
            [frame(HEADERS, 0, 1, block), frame(DATA, 0, 1, b"a")].concat(),
        ),
        (
            "a continuation of another",
            [frame(HEADERS, 0, 1, block), frame(CONTINUATION, END_HEADERS, 3, block)].concat(),
        ),
        (
            "padding beyond the frame",
            frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, &padded),
        ),
        (
            "a stream that depends on itself",
            frame(HEADERS, END_HEADERS | END_STREAM | PRIORITISED, 1, &dependent),
        ),
        (
            "a head out of no table",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff, 0xff, 0x03]),
        ),
        (
            "a head that is cut off",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &block[..block.len() - 1]),
        ),
        (
            "a table beyond its bound",
            frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                1,
                &[&[0x3f, 0xff, 0xff, 0x03][..], block].concat(),
            ),
        ),
        ("a short PING", frame(PING, 0, 0, &[0; 7])),
        ("a PING on a stream", frame(PING, 0, 1, &[0; 8])),
        ("SETTINGS on a stream", frame(SETTINGS, 0, 1, &[])),
        ("SETTINGS that are cut off", frame(SETTINGS, 0, 0, &[0; 5])),
        (
            "an acknowledgement that says something",
            frame(SETTINGS, ACK, 0, &[0; 6]),
        ),
        (
            "SETTINGS that promise nonsense",
            frame(SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 2]),
        ),
        (
            "a window beyond all in SETTINGS",
            frame(SETTINGS, 0, 0, &[0, 4, 0x80, 0, 0, 0]),
        ),
        ("frames smaller than may be", frame(SETTINGS, 0, 0, &[0, 5, 0, 0, 0, 1])),
        (
            "a frame larger than may be",
            after(frame(DATA, END_STREAM, 1, &[0; 16_385])),
        ),
        ("a goodbye on a stream", frame(GOAWAY, 0, 1, &[0; 8])),
    ]
}

#[test]
fn what_breaks_the_protocol_ends_the_stream_or_the_connection() {
    over_both_families(async || {
        for endpoint in [Version::One, Version::Two] {
            let stage = Stage::of(endpoint).await;
            for (what, frames) in violations() {
                stage.refuses(&frames, &what).await;
            }
            // Others are not concerned.
            assert_eq!(stage.outcome(&head(END_STREAM, 1, &REQUEST)).await, "answered");
        }
    });
}
