//! Another path for a request.

use evenkeel_control_api::resource::matcher::Substitution;
use evenkeel_control_api::resource::route::{PathMatch, PathRewrite};

/// How a path is changed. The query stays.
#[derive(Clone, Debug, PartialEq)]
pub enum PathChange {
    /// This in the place of what the route has matched.
    Matched(Matched, String),
    /// Every match replaced.
    Regex(Substitution),
}

/// What a route has matched of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matched {
    /// So many bytes.
    First(usize),
    /// All of it.
    All,
}

impl Matched {
    pub(super) fn by(path: &PathMatch) -> Self {
        match path {
            PathMatch::Prefix(prefix) | PathMatch::Segments(prefix) => Self::First(prefix.len()),
            PathMatch::Exact(_) | PathMatch::Regex(_) | PathMatch::Connect => Self::All,
        }
    }
}

impl PathChange {
    pub(super) fn new(rewrite: &PathRewrite, matched: Matched) -> Self {
        match rewrite {
            PathRewrite::Prefix(prefix) => Self::Matched(matched, prefix.clone()),
            PathRewrite::Regex(substitution) => Self::Regex(substitution.clone()),
        }
    }

    /// The path and query that take the place of these; `None` where the path is none (`*`).
    pub fn apply(&self, path: &[u8], query: Option<&[u8]>) -> Option<Vec<u8>> {
        if !path.starts_with(b"/") {
            return None;
        }
        let mut changed = match self {
            Self::Matched(matched, with) => {
                let rest = match matched {
                    Matched::First(length) => path.get(*length..).unwrap_or_default(),
                    Matched::All => b"",
                };
                [with.as_bytes(), rest].concat()
            }
            Self::Regex(substitution) => substitution.apply(path),
        };
        // What an expression makes may be no path, and must not be sent as if it were one.
        if !changed.starts_with(b"/") {
            changed.insert(0, b'/');
        }
        if let Some(query) = query {
            changed.push(b'?');
            changed.extend_from_slice(query);
        }
        Some(changed)
    }
}
