//! Every metric of the proxy by name: what a scrape says of it, and what `docs/metrics.md` does.
//!
//! A page is made of these constants alone, so that nothing is exposed that is not in the list. To add one: a line in its
//! group in `traffic.rs` or `state.rs`, the place that counts, and the page of documentation, which a test writes anew
//! (`cargo test -p evenkeel-proxy --lib catalogue::page -- --ignored`).

mod labels;
#[cfg(test)]
mod page;
mod state;
mod traffic;

pub use labels::EXPORT_LOSSES;
pub use labels::PHASES;
pub use labels::POINT_LOSSES;
pub use labels::PUSH_RESULTS;
pub use labels::STATES;
pub use labels::TAP_LOSSES;
pub use state::*;
pub use traffic::*;

use crate::telemetry::Kind;

/// A metric.
#[derive(Debug)]
pub struct Metric {
    /// With the unit as its suffix.
    pub name: &'static str,
    /// What its samples mean.
    pub kind: Kind,
    /// One sentence.
    pub help: &'static str,
    /// All that tell its series apart.
    pub labels: &'static [Label],
}

/// A label of a metric.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// What it is called.
    pub name: &'static str,
    /// What it may say.
    pub values: Values,
}

/// What a label may say: never what clients send.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    /// A closed list.
    Listed(fn() -> Vec<String>),
    /// What the configuration has, in words.
    Configured(&'static str),
}

/// Metrics that belong together.
#[derive(Debug)]
pub struct Group {
    /// Its heading.
    pub title: &'static str,
    /// What is in it.
    pub metrics: &'static [&'static Metric],
}

/// Everything there is.
pub const GROUPS: [Group; 9] = [
    REQUEST_METRICS,
    TCP_METRICS,
    CONNECTION_METRICS,
    POOL_METRICS,
    ENDPOINT_METRICS,
    BUDGET_METRICS,
    CONFIGURATION_METRICS,
    CONTROL_PLANE_METRICS,
    PROCESS_METRICS,
];

/// A group: its constants and the list of them, which cannot differ.
macro_rules! group {
    ($group:ident $title:literal $($constant:ident $kind:ident $name:literal [$($label:ident)*] $help:literal)*) => {
        $(
            #[doc = $help]
            pub const $constant: &Metric = &Metric {
                name: $name,
                kind: Kind::$kind,
                help: $help,
                labels: &[$(labels::$label),*],
            };
        )*
        #[doc = $title]
        pub const $group: Group = Group {
            title: $title,
            metrics: &[$($constant),*],
        };
    };
}
use group;
