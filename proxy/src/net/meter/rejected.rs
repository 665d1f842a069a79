//! Streams of a client that the `h2` crate refuses without giving them away, by the frames that we send: `RST_STREAM` with
//! `REFUSED_STREAM` for one above the limit, a 431 for a head beyond the crate's own bound, `RST_STREAM` with `PROTOCOL_ERROR` for one
//! that is malformed. It gives streams away in their order, and writes its answers before it does: whatever we send on a stream
//! above the newest that was given away is its own. Where a client does not read, such a frame may be written later than that,
//! and is not seen.

use super::HEAD;
use super::HEADERS;
use super::RST_STREAM;
use super::Seen;
use super::walk::Part;
use super::walk::Walk;
use crate::failure::Reason;

/// Of `RST_STREAM` (RFC 9113 7).
const PROTOCOL_ERROR: u32 = 1;
const REFUSED_STREAM: u32 = 7;

/// Follows the frames that we send.
#[derive(Debug, Default)]
pub(super) struct Rejections {
    walk: Walk,
    /// Of a `RST_STREAM` frame the stream, and as much of its error code as was sent (RFC 9113 6.4).
    reset: Option<(u32, u32)>,
}

impl Rejections {
    /// Takes the next bytes that were sent.
    pub(super) fn sent(&mut self, mut bytes: &[u8], seen: &Seen) {
        while let Some(part) = self.walk.next(&mut bytes) {
            match part {
                Part::Head(head) => self.frame(head, seen),
                Part::Payload(payload) => self.payload(payload, seen),
            }
        }
    }

    fn frame(&mut self, head: [u8; HEAD], seen: &Seen) {
        let [_, _, _, kind, _, stream @ ..] = head;
        let stream = u32::from_be_bytes(stream);
        self.reset = (kind == RST_STREAM).then_some((stream, 0));
        if kind == HEADERS && stream > seen.accepted.get() {
            seen.rejected.borrow_mut().push((stream, Reason::HeadTooLarge));
        }
    }

    fn payload(&mut self, payload: &[u8], seen: &Seen) {
        let Some((stream, code)) = &mut self.reset else { return };
        *code = payload.iter().fold(*code, |code, byte| code << 8 | u32::from(*byte));
        if self.walk.left() == 0 {
            reset(*stream, *code, seen);
        }
    }
}

fn reset(stream: u32, code: u32, seen: &Seen) {
    if stream <= seen.accepted.get() {
        return;
    }
    let mut rejected = seen.rejected.borrow_mut();
    // An answer of the crate is followed by a reset.
    if rejected.iter().any(|(known, _)| *known == stream) {
        return;
    }
    match code {
        REFUSED_STREAM => rejected.push((stream, Reason::TooManyStreams)),
        PROTOCOL_ERROR => rejected.push((stream, Reason::MalformedRequest)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::Meter;
    use super::super::Peer;
    use super::*;
    use tokio::time::Instant;

    fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0, 0, payload.len() as u8, kind, 4];
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        frame
    }

    /// SETTINGS, an answer of ours, one of the crate with its reset, a refusal, and a malformed stream; data between them that
    /// looks like a refusal.
    fn sent() -> Vec<u8> {
        [
            frame(4, 0, &[0; 6]),
            frame(HEADERS, 3, b"\x88"),
            frame(0, 3, &frame(RST_STREAM, 99, &[0, 0, 0, 7])),
            frame(HEADERS, 5, b"\x48\x03431"),
            frame(RST_STREAM, 5, &[0, 0, 0, 1]),
            frame(RST_STREAM, 7, &[0, 0, 0, 7]),
            frame(RST_STREAM, 1, &[0, 0, 0, 7]),
            frame(RST_STREAM, 9, &[0, 0, 0, 1]),
            frame(RST_STREAM, 11, &[0, 0, 0, 8]),
        ]
        .concat()
    }

    const EXPECTED: [Reason; 3] = [Reason::HeadTooLarge, Reason::TooManyStreams, Reason::MalformedRequest];

    #[test]
    fn what_was_sent_on_streams_that_nobody_got_is_a_refusal_however_it_is_split() {
        let all = sent();
        for first in 0..all.len() {
            for second in [first, first + 1, first + 12] {
                let second = second.min(all.len());
                let mut meter = Meter::new(Peer::Client, 100, Instant::now());
                let seen = meter.seen();
                seen.accept(3);
                for piece in [&all[..first], &all[first..second], &all[second..]] {
                    meter.sent([piece], piece.len());
                }
                assert_eq!(seen.take_rejected().collect::<Vec<_>>(), EXPECTED, "{first} {second}");
                assert_eq!(seen.take_rejected().count(), 0);
            }
        }
    }

    #[test]
    fn only_what_a_socket_has_taken_counts() {
        let all = sent();
        let mut meter = Meter::new(Peer::Client, 100, Instant::now());
        let seen = meter.seen();
        seen.accept(3);
        let (head, rest) = all.split_at(20);
        meter.sent([head, rest], 30);
        assert_eq!(seen.take_rejected().count(), 0);
        let mut meter = Meter::new(Peer::Client, 100, Instant::now());
        let seen = meter.seen();
        seen.accept(3);
        meter.sent([head, rest], all.len());
        assert_eq!(seen.take_rejected().collect::<Vec<_>>(), EXPECTED);
    }

    #[test]
    fn a_reset_that_is_written_after_its_answer_was_counted_is_no_refusal_of_its_own() {
        let mut meter = Meter::new(Peer::Client, 100, Instant::now());
        let seen = meter.seen();
        let (answer, reset) = (frame(HEADERS, 5, b"\x48\x03431"), frame(RST_STREAM, 5, &[0, 0, 0, 1]));
        meter.sent([answer.as_slice()], answer.len());
        assert_eq!(seen.take_rejected().collect::<Vec<_>>(), [Reason::HeadTooLarge]);
        meter.sent([reset.as_slice()], reset.len());
        assert_eq!(seen.take_rejected().count(), 0);
    }

    #[test]
    fn a_stream_that_was_reset_before_it_was_given_away_is_counted_by_who_got_it() {
        let mut meter = Meter::new(Peer::Client, 100, Instant::now());
        let seen = meter.seen();
        let reset = frame(RST_STREAM, 1, &[0, 0, 0, 1]);
        meter.sent([reset.as_slice()], reset.len());
        seen.accept(1);
        assert_eq!(seen.take_rejected().count(), 0);
    }
}
