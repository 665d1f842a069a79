//! Which virtual host has an authority: the one that names it, else the one with the longest end of it, else with the
//! longest beginning, else the one that has all others.

use evenkeel_control_api::resource::route::{Domain, Ports};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;

/// Places of virtual hosts by domain.
#[derive(Debug, PartialEq)]
pub(super) struct Hosts {
    ports: Ports,
    exact: HashMap<Box<[u8]>, usize>,
    suffixes: ByLength,
    prefixes: ByLength,
    any: Option<usize>,
}

/// Parts of names, found by their lengths, of which there are few.
#[derive(Debug, Default, PartialEq)]
struct ByLength {
    places: HashMap<Box<[u8]>, usize>,
    /// The longest first.
    lengths: Vec<usize>,
}

impl Hosts {
    pub(super) fn new(ports: Ports) -> Self {
        Self {
            ports,
            exact: HashMap::new(),
            suffixes: ByLength::default(),
            prefixes: ByLength::default(),
            any: None,
        }
    }

    /// `domain` belongs to the virtual host at `place`.
    pub(super) fn add(&mut self, domain: &Domain, place: usize) {
        match domain {
            Domain::Any => self.any = Some(place),
            Domain::Exact(name) => {
                self.exact.insert(name.as_bytes().into(), place);
            }
            Domain::Suffix(suffix) => self.suffixes.add(suffix, place),
            Domain::Prefix(prefix) => self.prefixes.add(prefix, place),
        }
    }

    /// Who has this authority. A request that names none is for whoever has all.
    pub(super) fn find(&self, authority: Option<&[u8]>) -> Option<usize> {
        let Some(authority) = authority else { return self.any };
        let name = lower(match self.ports {
            Ports::Compared => authority,
            Ports::Ignored => without_port(authority),
        });
        let exact = || self.exact.get(&*name).copied();
        let suffix = || self.suffixes.find(&name, |length| &name[name.len() - length..]);
        let prefix = || self.prefixes.find(&name, |length| &name[..length]);
        exact().or_else(suffix).or_else(prefix).or(self.any)
    }
}

impl ByLength {
    fn add(&mut self, part: &str, place: usize) {
        self.places.insert(part.as_bytes().into(), place);
        if !self.lengths.contains(&part.len()) {
            self.lengths.push(part.len());
            self.lengths.sort_unstable_by_key(|length| Reverse(*length));
        }
    }

    /// The asterisk stands for one byte at least.
    fn find<'a>(&self, name: &'a [u8], part: impl Fn(usize) -> &'a [u8]) -> Option<usize> {
        let mut lengths = self.lengths.iter().filter(|length| **length < name.len());
        lengths.find_map(|length| self.places.get(part(*length)).copied())
    }
}

/// Domains are in lower case, and so are nearly all authorities.
fn lower(name: &[u8]) -> Cow<'_, [u8]> {
    if name.iter().any(u8::is_ascii_uppercase) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

/// What is before the last colon, unless that stands in an IPv6 address.
pub(super) fn without_port(authority: &[u8]) -> &[u8] {
    let colon = authority.iter().rposition(|byte| *byte == b':');
    match colon {
        Some(colon) if !authority[colon..].contains(&b']') => &authority[..colon],
        _ => authority,
    }
}
