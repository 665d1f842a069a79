//! Changes of header fields, level after level.

use evenkeel_control_api::resource::route::{AppendAction, HeaderMutations};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;

/// The fields of a head that can be changed.
pub trait Head {
    /// Whether there is a line of this name.
    fn has(&self, name: &HeaderName) -> bool;
    /// Takes all lines of this name away.
    fn remove(&mut self, name: &HeaderName);
    /// Adds a line.
    fn add(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), Full>;
}

/// A head takes no more fields. A field that is to be there and is not would be no smaller fault than one that is not to be
/// there and is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Changes, those that come last overruling the others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Levels(pub(super) Vec<Arc<HeaderMutations>>);

impl Levels {
    /// Nothing changes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Changes a head.
    pub fn apply(&self, head: &mut impl Head) -> Result<(), Full> {
        self.0.iter().try_for_each(|level| apply(level, head))
    }
}

/// Removals come first; whether a field is there is asked before the first one is added, and replacements come before
/// additions, as in Envoy.
fn apply(level: &HeaderMutations, head: &mut impl Head) -> Result<(), Full> {
    level.remove.iter().for_each(|name| head.remove(name));
    let mut replaced = Vec::new();
    let mut added = Vec::new();
    for addition in &level.add {
        match addition.action {
            AppendAction::Append => added.push(addition),
            AppendAction::AddIfAbsent if !head.has(&addition.name) => added.push(addition),
            AppendAction::Overwrite => replaced.push(addition),
            AppendAction::OverwriteIfPresent if head.has(&addition.name) => replaced.push(addition),
            AppendAction::AddIfAbsent | AppendAction::OverwriteIfPresent => {}
        }
    }
    for addition in replaced {
        head.remove(&addition.name);
        head.add(&addition.name, &addition.value)?;
    }
    added
        .into_iter()
        .try_for_each(|addition| head.add(&addition.name, &addition.value))
}

impl Head for HeaderMap {
    fn has(&self, name: &HeaderName) -> bool {
        self.contains_key(name)
    }

    fn remove(&mut self, name: &HeaderName) {
        HeaderMap::remove(self, name);
    }

    fn add(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), Full> {
        self.try_append(name, value.clone()).map(drop).map_err(|_| Full)
    }
}
