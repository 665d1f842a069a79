//! What a client program of ours reports: who answered how often, and what failed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

/// The one line of JSON that `client` prints.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    /// Answers by the name of the replica.
    pub by_replica: BTreeMap<String, u64>,
    /// Calls or connections that did not get their answer.
    pub failures: u64,
    /// What the first of them said.
    pub first_failure: Option<String>,
    /// Milliseconds from connect to the first byte, the median; for protocols where that is the server's own doing.
    pub first_byte_ms: Option<f64>,
}

// === impl Answers ===

impl Answers {
    /// Books one outcome.
    pub fn book(&mut self, outcome: anyhow::Result<String>) {
        match outcome {
            Ok(replica) => *self.by_replica.entry(replica).or_default() += 1,
            Err(error) => {
                self.failures += 1;
                self.first_failure.get_or_insert_with(|| format!("{error:#}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_kept_and_all_are_counted() {
        let mut answers = Answers::default();
        answers.book(Ok("r1".to_owned()));
        answers.book(Err(anyhow::anyhow!("refused")));
        answers.book(Err(anyhow::anyhow!("reset")));
        assert_eq!(answers.failures, 2);
        assert_eq!(answers.first_failure.as_deref(), Some("refused"));
        assert_eq!(answers.by_replica["r1"], 1);
    }
}
