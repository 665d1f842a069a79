//! Weighs what the peer of an HTTP/2 connection asks for, by the heads of its frames alone (RFC 9113 4.1).
//!
//! The `h2` crate bounds what breaks a rule or piles up: 1,024 streams that it had to reset or refuse, 20 that were reset
//! before anybody looked at them, 100 empty DATA frames, about as many CONTINUATIONs as a head needs. What is cheap and
//! allowed it answers without end: PING, SETTINGS, `WINDOW_UPDATE`, PRIORITY, `RST_STREAM`. Here every frame costs one from an
//! allowance that is full again every 10 s, and messages pay for frames:
//!
//! - a DATA frame with content and a HEADERS frame of the peer pay for ten. gRPC sends at most two `WINDOW_UPDATE` frames, a PING
//!   and the answer to one for each (Envoy allows ten `WINDOW_UPDATE` frames for a DATA frame);
//! - eight bytes that we send pay for one, and so does each write: whoever reads answers with `WINDOW_UPDATE` frames, Go's client
//!   with two for 4 KiB (nginx allows seven bytes of overhead for one of payload). What only answers PING and SETTINGS pays
//!   for nothing.
//!
//! The clock is asked only when the allowance is used up.
//!
//! Of a client's connection the frames that we send are looked at as well: the crate refuses streams by itself, and tells nobody
//! (`meter/rejected.rs`).

mod rejected;
mod walk;

use std::cell::Cell;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use crate::failure::Reason;
use rejected::Rejections;
use walk::Part;
use walk::Walk;

/// A used-up allowance is full again when so long has passed since it was full.
const WINDOW: Duration = Duration::from_secs(10);

/// What a client says before its first frame (RFC 9113 3.4).
const PREFACE: usize = 24;
/// The head of a frame.
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;

/// Of DATA and HEADERS.
const END_STREAM: u8 = 1;
/// Of PING and SETTINGS.
const ACK: u8 = 1;
/// Of HEADERS, `PUSH_PROMISE` and CONTINUATION.
const END_HEADERS: u8 = 4;

/// Frames that a message's frame of the peer pays for.
const PAID_BY_MESSAGE: u32 = 10;
/// Bytes of ours that pay for one.
const BYTES_PER_FRAME: usize = 8;

/// Which end of the connection the peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// It begins with the preface.
    Client,
    /// It begins with its SETTINGS.
    Server,
}

/// More than the allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many frames that carry no message")]
pub struct Flood;

/// What is known of the peer to whoever looks after the connection while the `h2` crate has its stream.
#[derive(Debug)]
pub struct Seen {
    flooded: Cell<bool>,
    awaited: Cell<Option<u32>>,
    /// The client's newest stream that the crate has given away.
    accepted: Cell<u32>,
    /// Those that it will not, with the reason.
    rejected: RefCell<Vec<(u32, Reason)>>,
}

impl Seen {
    /// The peer sent more than its allowance.
    pub fn is_flood(&self) -> bool {
        self.flooded.get()
    }

    /// A head that the peer has begun and not finished, counted from 1; 0 is the greeting, its preface and SETTINGS.
    pub fn awaited_head(&self) -> Option<u32> {
        self.awaited.get()
    }

    /// The crate has given a stream of the client away.
    pub fn accept(&self, stream: u32) {
        self.accepted.set(stream.max(self.accepted.get()));
        // It was reset before it was looked at, and is counted by who got it.
        self.rejected.borrow_mut().retain(|(rejected, _)| *rejected != stream);
    }

    /// Why streams of the client were refused that nobody got, since this was asked last. To be asked when the crate has no
    /// stream to give away.
    pub fn take_rejected(&self) -> impl Iterator<Item = Reason> + use<> {
        let rejected = self.rejected.take();
        // What is sent on them from now on, as the reset that follows an answer, is no other refusal.
        if let Some(newest) = rejected.iter().map(|(stream, _)| *stream).max() {
            self.accepted.set(newest.max(self.accepted.get()));
        }
        rejected.into_iter().map(|(_, reason)| reason)
    }
}

/// Where in a block of fields the frame that came last is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    /// Not in one.
    Outside,
    /// More frames of it follow.
    Open,
    /// It is the last frame of it.
    Last,
}

/// Follows the frames of one peer.
#[derive(Debug)]
pub struct Meter {
    seen: Rc<Seen>,
    walk: Walk,
    block: Block,
    /// Frames so far, as far as it matters: none, one, more.
    frames: u8,
    heads: u32,
    allowance: u32,
    left: u32,
    full_at: Instant,
    /// Bytes that we will send only to answer PING and SETTINGS.
    owed: usize,
    /// Follows what we send to a client.
    rejections: Option<Rejections>,
}

impl Meter {
    /// Of a connection that begins at `now`, whose peer may send `allowance` frames in 10 s that nothing pays for.
    pub fn new(peer: Peer, allowance: u32, now: Instant) -> Self {
        let seen = Seen {
            flooded: Cell::new(false),
            awaited: Cell::new(Some(0)),
            accepted: Cell::new(0),
            rejected: RefCell::default(),
        };
        Self {
            seen: Rc::new(seen),
            walk: Walk::behind(if peer == Peer::Client { PREFACE } else { 0 }),
            block: Block::Outside,
            frames: 0,
            heads: 0,
            allowance,
            left: allowance,
            full_at: now,
            owed: 0,
            rejections: (peer == Peer::Client).then(Rejections::default),
        }
    }

    /// What it sees, for whoever gives it away.
    pub fn seen(&self) -> Rc<Seen> {
        Rc::clone(&self.seen)
    }

    /// Takes the next bytes of the peer.
    ///
    /// # Errors
    /// The allowance is used up; so it stays.
    pub fn received(&mut self, mut bytes: &[u8], now: impl Fn() -> Instant) -> Result<(), Flood> {
        if self.seen.is_flood() {
            return Err(Flood);
        }
        while let Some(part) = self.walk.next(&mut bytes) {
            if let Part::Head(head) = part {
                self.frame(head, &now)?;
            }
        }
        self.seen.awaited.set(self.awaited());
        Ok(())
    }

    /// These bytes were sent to the peer, one write of so many in all.
    pub fn sent<'a>(&mut self, slices: impl IntoIterator<Item = &'a [u8]>, count: usize) {
        if let Some(rejections) = &mut self.rejections {
            let mut left = count;
            for slice in slices {
                let sent = &slice[..slice.len().min(left)];
                left -= sent.len();
                rejections.sent(sent, &self.seen);
            }
        }
        let answers = self.owed.min(count);
        self.owed -= answers;
        let useful = count - answers;
        if useful > 0 {
            self.pay(1 + (useful / BYTES_PER_FRAME) as u32);
        }
    }

    fn frame(&mut self, head: [u8; HEAD], now: impl Fn() -> Instant) -> Result<(), Flood> {
        let [_, _, _, kind, flags, ..] = head;
        let length = self.walk.left();
        self.frames = self.frames.saturating_add(1);
        self.block = match kind {
            HEADERS | PUSH_PROMISE | CONTINUATION if flags & END_HEADERS == 0 => Block::Open,
            HEADERS | PUSH_PROMISE | CONTINUATION => Block::Last,
            _ => Block::Outside,
        };
        match kind {
            DATA if length > 0 => self.pay(PAID_BY_MESSAGE),
            HEADERS if length > 0 => {
                self.heads = self.heads.wrapping_add(1).max(1);
                self.pay(PAID_BY_MESSAGE);
            }
            DATA if flags & END_STREAM != 0 => {}
            _ => {
                if matches!(kind, PING | SETTINGS) && flags & ACK == 0 {
                    self.owed += HEAD + if kind == PING { length } else { 0 };
                }
                return self.spend(now);
            }
        }
        Ok(())
    }

    fn pay(&mut self, frames: u32) {
        self.left = self.left.saturating_add(frames).min(self.allowance);
    }

    fn spend(&mut self, now: impl Fn() -> Instant) -> Result<(), Flood> {
        if self.left == 0 {
            let now = now();
            if now.saturating_duration_since(self.full_at) < WINDOW {
                self.seen.flooded.set(true);
                return Err(Flood);
            }
            (self.left, self.full_at) = (self.allowance, now);
        }
        self.left -= 1;
        Ok(())
    }

    fn awaited(&self) -> Option<u32> {
        let greeted = self.frames > 1 || (self.frames == 1 && self.walk.left() == 0);
        match self.block {
            _ if !greeted => Some(0),
            Block::Open => Some(self.heads),
            Block::Last if self.walk.left() > 0 => Some(self.heads),
            Block::Last | Block::Outside => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW_UPDATE: u8 = 8;
    const ALLOWANCE: u32 = 100;

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let [_, a, b, c] = (length as u32).to_be_bytes();
        let mut frame = vec![a, b, c, kind, flags, 0, 0, 0, 1];
        // A payload that looks like heads of frames, should anybody read it as some.
        frame.extend((0..length).map(|at| [0, 0, 0, PING, 0, 0, 0, 0, 0][at % HEAD]));
        frame
    }

    /// A server, whose connection began at the same time as the clock says.
    fn meter() -> (Meter, impl Fn() -> Instant + Copy) {
        let begin = Instant::now();
        (Meter::new(Peer::Server, ALLOWANCE, begin), move || begin)
    }

    #[test]
    fn frames_that_carry_nothing_use_the_allowance_up() {
        for (kind, flags, length) in [
            (PING, 0, 8),
            (PING, ACK, 8),
            (SETTINGS, 0, 0),
            (WINDOW_UPDATE, 0, 4),
            (RST_STREAM, 0, 4),
            (DATA, 0, 0),
            (CONTINUATION, 0, 0),
            (2, 0, 5),
            (200, 0, 1),
        ] {
            let (mut meter, now) = meter();
            let one = frame(kind, flags, length);
            let all = one.repeat(ALLOWANCE as usize);
            assert_eq!(meter.received(&all, now), Ok(()), "{kind}");
            assert!(!meter.seen().is_flood());
            assert_eq!(meter.received(&one, now), Err(Flood), "{kind}");
            assert!(meter.seen().is_flood());
            assert_eq!(meter.received(&one, now), Err(Flood), "{kind}");
        }
    }

    #[test]
    fn messages_pay_for_frames() {
        let (mut meter, now) = meter();
        let call = [
            frame(HEADERS, END_HEADERS, 30),
            frame(DATA, END_STREAM, 10),
            frame(WINDOW_UPDATE, 0, 4),
            frame(WINDOW_UPDATE, 0, 4),
            frame(PING, 0, 8),
            frame(PING, ACK, 8),
        ];
        assert_eq!(meter.received(&call.concat().repeat(10_000), now), Ok(()));
    }

    #[test]
    fn what_the_peer_reads_pays_for_its_window_updates() {
        let (mut meter, now) = meter();
        let updates = frame(WINDOW_UPDATE, 0, 4).repeat(2);
        for _ in 0..10_000 {
            // The smallest DATA frame of gRPC.
            meter.sent([&[0; HEAD + 5][..]], HEAD + 5);
            assert_eq!(meter.received(&updates, now), Ok(()));
        }
    }

    #[test]
    fn our_answers_to_pings_pay_for_nothing() {
        let (mut meter, now) = meter();
        let flood = || {
            for _ in 0..10 * ALLOWANCE {
                meter.received(&frame(PING, 0, 8), now)?;
                meter.sent([&[0; HEAD + 8][..]], HEAD + 8);
                meter.received(&frame(SETTINGS, 0, 6), now)?;
                meter.sent([&[0; HEAD][..]], HEAD);
            }
            Ok(())
        };
        assert_eq!({ flood }(), Err(Flood));
    }

    #[test]
    fn the_allowance_is_full_again_after_its_window() {
        let (mut meter, begin) = meter();
        let all = frame(PING, 0, 8).repeat(ALLOWANCE as usize);
        let later = |seconds| move || begin() + Duration::from_secs(seconds);
        assert_eq!(meter.received(&all, later(9)), Ok(()));
        assert_eq!(meter.received(&all, later(10)), Ok(()));
        assert_eq!(meter.received(&all, later(19)), Err(Flood));
    }

    #[test]
    fn a_head_is_awaited_from_its_first_frame_to_the_end_of_its_last() {
        let (mut meter, now) = meter();
        let seen = meter.seen();
        let mut waits_after = |bytes: &[u8]| {
            meter.received(bytes, now).unwrap();
            seen.awaited_head()
        };
        assert_eq!(waits_after(&frame(SETTINGS, 0, 6)[..14]), Some(0));
        assert_eq!(waits_after(&frame(SETTINGS, 0, 6)[14..]), None);
        let head = frame(HEADERS, END_HEADERS, 20);
        assert_eq!(waits_after(&head), None);
        assert_eq!(waits_after(&head[..10]), Some(2));
        assert_eq!(waits_after(&head[10..]), None);
        assert_eq!(waits_after(&frame(HEADERS, 0, 20)), Some(3));
        assert_eq!(waits_after(&frame(CONTINUATION, 0, 20)), Some(3));
        assert_eq!(waits_after(&frame(CONTINUATION, END_HEADERS, 20)), None);
        assert_eq!(waits_after(&frame(DATA, 0, 20)[..12]), None);
    }

    #[test]
    fn a_client_begins_with_its_preface() {
        let mut meter = Meter::new(Peer::Client, ALLOWANCE, Instant::now());
        let seen = meter.seen();
        let mut waits_after = |bytes: &[u8]| {
            meter.received(bytes, Instant::now).unwrap();
            seen.awaited_head()
        };
        assert_eq!(waits_after(b"PRI * HTTP/2.0\r\n\r\nSM\r\n"), Some(0));
        assert_eq!(waits_after(b"\r\n"), Some(0));
        assert_eq!(waits_after(&frame(SETTINGS, 0, 0)), None);
    }

    /// Whatever is read at a time, the same is seen.
    #[test]
    fn every_split_is_seen_alike() {
        let kinds = [
            (SETTINGS, 0, 12),
            (HEADERS, 0, 3),
            (CONTINUATION, END_HEADERS, 2),
            (DATA, 0, 300),
            (PING, 0, 8),
            (DATA, END_STREAM, 0),
            (HEADERS, END_HEADERS | END_STREAM, 1),
            (RST_STREAM, 0, 4),
        ];
        let bytes: Vec<u8> = kinds
            .iter()
            .flat_map(|(kind, flags, length)| frame(*kind, *flags, *length))
            .collect();
        let now = Instant::now();
        let state = |meter: &Meter| {
            (
                meter.left,
                meter.heads,
                meter.owed,
                meter.walk.left(),
                meter.seen.awaited.get(),
            )
        };
        let mut whole = Meter::new(Peer::Server, 3, now);
        let outcome = whole.received(&bytes, || now);
        for first in 0..=bytes.len() {
            for second in [first, first + 1, first + HEAD, bytes.len()] {
                let second = second.min(bytes.len());
                let mut split = Meter::new(Peer::Server, 3, now);
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                let outcomes = pieces.map(|piece| split.received(piece, || now));
                assert_eq!(outcomes[2], outcome);
                assert_eq!(state(&split), state(&whole), "{first} {second}");
            }
        }
        let mut bytewise = Meter::new(Peer::Server, 3, now);
        for byte in &bytes {
            assert_eq!(bytewise.received(std::slice::from_ref(byte), || now), Ok(()));
        }
        assert_eq!(state(&bytewise), state(&whole));
    }
}
