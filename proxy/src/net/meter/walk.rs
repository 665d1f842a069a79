//! Goes along the frames of one direction, however they are cut into pieces (RFC 9113 4.1).

use super::HEAD;

/// How far it has come.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Bytes of a payload that are still to come.
    left: usize,
    /// The beginning of a frame's head that was cut off.
    head: [u8; HEAD],
    held: usize,
}

/// What comes next.
pub(super) enum Part<'a> {
    /// The head of a frame.
    Head([u8; HEAD]),
    /// Some of what is behind it.
    Payload(&'a [u8]),
}

impl Walk {
    /// Begins behind so many bytes that are no frames.
    pub(super) fn behind(left: usize) -> Self {
        Self {
            left,
            ..Self::default()
        }
    }

    /// How much of the payload is still to come.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Takes the next part of `bytes`; `None`: they are used up.
    pub(super) fn next<'a>(&mut self, bytes: &mut &'a [u8]) -> Option<Part<'a>> {
        if self.left > 0 && !bytes.is_empty() {
            let (payload, rest) = bytes.split_at(self.left.min(bytes.len()));
            self.left -= payload.len();
            *bytes = rest;
            return Some(Part::Payload(payload));
        }
        let head = if self.held == 0
            && let Some((head, rest)) = bytes.split_first_chunk()
        {
            *bytes = rest;
            *head
        } else {
            let (begun, rest) = bytes.split_at((HEAD - self.held).min(bytes.len()));
            self.head[self.held..self.held + begun.len()].copy_from_slice(begun);
            self.held += begun.len();
            *bytes = rest;
            if self.held < HEAD {
                return None;
            }
            self.held = 0;
            self.head
        };
        let [a, b, c, ..] = head;
        self.left = u32::from_be_bytes([0, a, b, c]) as usize;
        Some(Part::Head(head))
    }
}
