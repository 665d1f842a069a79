//! Streams of a client that the `h2` crate refuses without giving them away, by the frames that we send: `RST_STREAM` with
//! `REFUSED_STREAM` for one above the limit, a 431 for a head beyond the crate's own bound, `RST_STREAM` with `PROTOCOL_ERROR` for one
//! that is malformed. It gives streams away in their order, and writes its answers before it does: whatever we send on a stream
//! above the newest that was given away is its own. Where a client does not read, such a frame may be written later than that,
//! and is not seen.

use super::HEAD;
use super::HEADERS;
use super::RST_STREAM;
use super::Seen;
use crate::failure::Reason;

/// A `RST_STREAM` frame, its error code included (RFC 9113 6.4).
const RESET: usize = HEAD + 4;
/// Of `RST_STREAM` (RFC 9113 7).
const PROTOCOL_ERROR: u32 = 1;
const REFUSED_STREAM: u32 = 7;

/// Follows the frames that we send.
#[derive(Debug, Default)]
pub(super) struct Rejections {
    /// Bytes of a payload that are still to come.
    skip: usize,
    /// The beginning of a frame that was cut off, or that is a reset.
    begun: [u8; RESET],
    held: usize,
}

impl Rejections {
    /// Takes the next bytes that were sent.
    pub(super) fn sent(&mut self, mut bytes: &[u8], seen: &Seen) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let count = self.skip.min(bytes.len());
                self.skip -= count;
                bytes = &bytes[count..];
            } else if self.held == 0
                && let Some((head, rest)) = bytes.split_first_chunk()
                && head[3] != RST_STREAM
            {
                bytes = rest;
                self.frame(head, seen);
            } else {
                let count = (self.wanted() - self.held).min(bytes.len());
                self.begun[self.held..self.held + count].copy_from_slice(&bytes[..count]);
                self.held += count;
                bytes = &bytes[count..];
                if self.held == self.wanted() {
                    self.whole(seen);
                }
            }
        }
    }

    /// How much of a frame tells what it is.
    fn wanted(&self) -> usize {
        if self.held > 3 && self.begun[3] == RST_STREAM {
            RESET
        } else {
            HEAD
        }
    }

    fn whole(&mut self, seen: &Seen) {
        if std::mem::take(&mut self.held) == RESET {
            let number = |at: usize| {
                let bytes = self.begun[at..].first_chunk().copied();
                bytes.map_or(0, u32::from_be_bytes)
            };
            reset(number(HEAD - 4), number(HEAD), seen);
        } else if let Some(head) = self.begun.first_chunk().copied() {
            self.frame(&head, seen);
        }
    }

    fn frame(&mut self, head: &[u8; HEAD], seen: &Seen) {
        let [a, b, c, kind, _, stream @ ..] = *head;
        self.skip = u32::from_be_bytes([0, a, b, c]) as usize;
        let stream = u32::from_be_bytes(stream);
        if kind == HEADERS && stream > seen.accepted.get() {
            seen.rejected.borrow_mut().push((stream, Reason::HeadTooLarge));
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
