//! What goes wrong on purpose.

use std::time::Duration;

use hyper::StatusCode;

use super::status::Refusal;

/// What the test wants to go wrong; nothing by default.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Nothing is answered and no event is sent, until it is over.
    pub(super) held: bool,
    /// What each answer waits for.
    pub(super) delay: Duration,
    refusals: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    verb: String,
    resource: String,
    code: StatusCode,
    retry_after: Option<u32>,
}

// === impl Faults ===

impl Faults {
    /// From now on this is refused; `*` is every verb, or every resource.
    pub(super) fn refuse(&mut self, verb: &str, resource: &str, code: StatusCode, retry_after: Option<u32>) {
        self.refusals.push(Rule {
            verb: verb.to_owned(),
            resource: resource.to_owned(),
            code,
            retry_after,
        });
    }

    /// Nothing is refused any more.
    pub(super) fn allow(&mut self) {
        self.refusals.clear();
    }

    /// How a request is refused, if it is.
    pub(super) fn refusal(&self, verb: &str, resource: &str) -> Option<Refusal> {
        let fits = |pattern: &str, word: &str| pattern == "*" || pattern == word;
        let rule = self
            .refusals
            .iter()
            .find(|rule| fits(&rule.verb, verb) && fits(&rule.resource, resource))?;
        let mut refusal = Refusal::new(rule.code, format!("{verb} {resource} is refused by the test"));
        refusal.retry_after = rule.retry_after;
        Some(refusal)
    }
}
