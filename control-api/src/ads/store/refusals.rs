//! What a response is refused with: every resource and field, in one message.

use crate::fault::Faults;
use std::fmt::Write;

/// What a refusal may say, in bytes: it travels in a gRPC message, and somebody has to read it.
const LONGEST: usize = 4096;

/// The resources of one response that were refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refusals {
    text: String,
    resources: usize,
}

impl Refusals {
    /// One more resource.
    pub(crate) fn add(&mut self, name: &str, faults: &Faults) {
        self.resources += 1;
        for fault in &faults.0 {
            if self.text.len() < LONGEST {
                let separator = if self.text.is_empty() { "" } else { "; " };
                // Writing to a `String` cannot fail.
                let _ = write!(self.text, "{separator}{name}: {fault}");
            }
        }
    }

    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.resources
    }

    /// `name: path: reason; …` and how many resources there are; `None`: nothing was refused.
    pub(crate) fn message(&self) -> Option<String> {
        if self.resources == 0 {
            return None;
        }
        let noun = if self.resources == 1 { "resource" } else { "resources" };
        let head = format!("{} {noun} refused: ", self.resources);
        let room = LONGEST - head.len();
        if self.text.len() <= room {
            return Some(head + &self.text);
        }
        let end = self.text.floor_char_boundary(room - "…".len());
        Some(head + &self.text[..end] + "…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ads::intake::fault;

    #[test]
    fn every_resource_is_named_with_every_fault() {
        let mut refusals = Refusals::default();
        assert_eq!(refusals.message(), None);
        refusals.add("a", &fault("is wrong".to_owned()));
        refusals.add("b", &fault("is worse".to_owned()));
        assert_eq!(
            refusals.message().as_deref(),
            Some("2 resources refused: a: is wrong; b: is worse")
        );
    }

    #[test]
    fn a_long_message_is_cut_and_still_counts_all() {
        let mut refusals = Refusals::default();
        for _ in 0..10_000 {
            refusals.add("größe", &fault("ä".repeat(97)));
        }
        let message = refusals.message().expect("there are refusals");
        assert!(message.len() <= LONGEST, "{}", message.len());
        assert!(message.starts_with("10000 resources refused: größe: ä"), "{message}");
        assert!(message.ends_with('…'));
    }
}
