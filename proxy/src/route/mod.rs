//! Which rule a request falls under, and what the rule makes of it. A pure decider: a request in, a decision out, and
//! chance is an argument.
//!
//! ```text
//! Ask --hosts--> virtual host --condition--> rule --> Decision: Forward | Answer | ...
//! Forward.changes: header (levels of mutations), path, host          Answer: redirect, or as it is written
//! ```
//! To add a condition: its type is in `control-api/src/resource/route/condition.rs`, its test in `condition.rs`.

mod ask;
mod compile;
mod condition;
mod header;
mod hosts;
mod limits;
mod path;
mod redirect;
mod rule;
mod table;
#[cfg(test)]
mod tests;

pub use ask::{Ask, Fields};
pub use header::{Full, Head, Levels};
pub use limits::Limits;
pub use path::PathChange;
pub use rule::{Action, Answer, AnswerKind, Changes, Forward, Rule, Target, Weighted};
pub use table::{Decision, Table};

use std::num::NonZeroU64;

/// Throws a number below the one that it is given, each as likely as the others.
pub type Die<'a> = &'a mut dyn FnMut(NonZeroU64) -> u64;
