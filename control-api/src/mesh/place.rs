//! A place in the document: a node, the path to it, and how to read it as what is expected there.
//!
//! Reading never stops at a fault: it is written down with its place, the caller goes on with a default, and the
//! document is refused at the end with all of them.

use super::path::Path;
use super::path::Step;
use super::scalar;
use super::settings::Share;
use super::yaml::Entry;
use super::yaml::Node;
use super::yaml::Value;
use crate::fault::Fault;
use crate::fault::Position;
use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Where the faults are collected.
pub(super) type FaultList = RefCell<Vec<Fault>>;

/// A node and the way to it.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    node: &'a Node,
    path: Path<'a>,
    faults: &'a FaultList,
}

/// A mapping whose keys are known to be allowed.
pub(super) struct Fields<'a> {
    place: &'a Place<'a>,
    entries: &'a [Entry],
}

impl<'a> Place<'a> {
    /// The document itself.
    pub(super) fn root(node: &'a Node, faults: &'a FaultList) -> Self {
        Self {
            node,
            path: Path::ROOT,
            faults,
        }
    }

    /// Where it is in the text.
    pub(super) fn position(&self) -> Position {
        self.node.at
    }

    /// Writes a fault of this value down.
    pub(super) fn refuse(&self, reason: impl Into<String>) {
        self.refuse_at(self.node.at, self.path, reason.into());
    }

    /// A fault of this value that is not written down yet.
    pub(super) fn fault(&self, reason: impl Into<String>) -> Fault {
        Fault {
            position: Some(self.node.at),
            path: self.path.to_string(),
            reason: reason.into(),
        }
    }

    /// How many faults are written down.
    pub(super) fn faults(&self) -> usize {
        self.faults.borrow().len()
    }

    /// Writes down a fault that was found before.
    pub(super) fn refuse_later(&self, fault: Fault) {
        self.faults.borrow_mut().push(fault);
    }

    fn refuse_kind(&self, expected: &str) {
        self.refuse(format!("expected {expected}, found {}", describe(&self.node.value)));
    }

    fn refuse_at(&self, at: Position, path: Path<'_>, reason: String) {
        self.faults.borrow_mut().push(Fault {
            position: Some(at),
            path: path.to_string(),
            reason,
        });
    }

    /// This as a mapping that holds no keys but `known`; nothing at all is an empty one.
    pub(super) fn fields(&'a self, known: &[&str]) -> Fields<'a> {
        let entries = match &self.node.value {
            Value::Map(entries) => entries.as_slice(),
            _ if self.is_nothing() => &[],
            _ => {
                self.refuse_kind("keys and values");
                &[]
            }
        };
        for Entry { key, at, .. } in entries {
            if !known.contains(&key.as_str()) {
                self.refuse_at(*at, self.path.then(Step::Key(key)), unknown_key(key, known));
            }
        }
        Fields { place: self, entries }
    }

    /// This as a list; nothing at all is an empty one.
    pub(super) fn items(&'a self) -> impl Iterator<Item = Place<'a>> {
        let items = match &self.node.value {
            Value::List(items) => items.as_slice(),
            _ if self.is_nothing() => &[],
            _ => {
                self.refuse_kind("a list");
                &[]
            }
        };
        items.iter().enumerate().map(|(index, node)| Place {
            node,
            path: self.path.then(Step::Index(index)),
            faults: self.faults,
        })
    }

    /// Whether it is a list.
    pub(super) fn is_list(&self) -> bool {
        matches!(self.node.value, Value::List(_))
    }

    /// Whether it has keys and values.
    pub(super) fn is_map(&self) -> bool {
        matches!(self.node.value, Value::Map(_))
    }

    /// The keys and values of this mapping, whatever they are; nothing at all has none.
    pub(super) fn entries(&'a self) -> Vec<(&'a str, Place<'a>)> {
        let place = |entry: &'a Entry| Place {
            node: &entry.value,
            path: self.path.then(Step::Key(&entry.key)),
            faults: self.faults,
        };
        let Value::Map(entries) = &self.node.value else {
            self.refuse_kind("keys and values");
            return Vec::new();
        };
        entries.iter().map(|entry| (entry.key.as_str(), place(entry))).collect()
    }

    /// This as text, which needs quotes where it could be something else.
    pub(super) fn text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Quoted(text) => Some(text),
            Value::Plain(text) if !self.is_nothing() && !is_number_or_truth(text) => Some(text),
            _ => {
                self.refuse_kind("text");
                None
            }
        }
    }

    /// This as a whole number within a range.
    pub(super) fn integer(&self, range: RangeInclusive<u64>) -> Option<u64> {
        self.integer_or(range, "")
    }

    /// As [`Self::integer`], where `others` says what else may stand here, such as `, or off`.
    pub(super) fn integer_or(&self, range: RangeInclusive<u64>, others: &str) -> Option<u64> {
        let number = match &self.node.value {
            Value::Plain(text) => scalar::whole(text).filter(|number| range.contains(number)),
            _ => None,
        };
        if number.is_none() {
            let (least, most) = range.into_inner();
            self.refuse_kind(&format!("a whole number from {least} to {most}{others}"));
        }
        number
    }

    /// This as a duration within a range.
    pub(super) fn duration(&self, range: &RangeInclusive<Duration>) -> Option<Duration> {
        self.duration_or(range, "")
    }

    /// As [`Self::duration`], where `others` says what else may stand here, such as `, or off`.
    pub(super) fn duration_or(&self, range: &RangeInclusive<Duration>, others: &str) -> Option<Duration> {
        let Some(duration) = self.scalar().and_then(scalar::duration) else {
            self.refuse_kind(&format!("a duration such as 500ms, 4s or 30m{others}"));
            return None;
        };
        if !range.contains(&duration) {
            let (least, most) = (
                scalar::write_duration(*range.start()),
                scalar::write_duration(*range.end()),
            );
            self.refuse(format!("must be from {least} to {most}{others}"));
            return None;
        }
        Some(duration)
    }

    /// This as a size in bytes within a range.
    pub(super) fn size(&self, range: &RangeInclusive<u64>) -> Option<u64> {
        let Some(size) = self.scalar().and_then(scalar::size) else {
            self.refuse_kind("a size such as 65536, 64KiB or 1MiB");
            return None;
        };
        if !range.contains(&size) {
            let (least, most) = (scalar::write_size(*range.start()), scalar::write_size(*range.end()));
            self.refuse(format!("must be from {least} to {most}"));
            return None;
        }
        Some(size)
    }

    /// This as a share of many.
    pub(super) fn share(&self) -> Option<Share> {
        let share = self.scalar().and_then(scalar::share).and_then(Share::of_millionths);
        if share.is_none() {
            self.refuse_kind("a share such as 1% or 0.01%");
        }
        share
    }

    /// This as one of some words.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let found = self.scalar();
        let known = found.and_then(|found| words.iter().find(|(word, _)| *word == found));
        if known.is_none() {
            let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let near = found.map(|found| did_you_mean(found, &names)).unwrap_or_default();
            let found = describe(&self.node.value);
            self.refuse(format!("expected {}, found {found}{near}", one_of(&names)));
        }
        known.map(|(_, value)| *value)
    }

    /// Whether this is exactly this word.
    pub(super) fn is_word(&self, word: &str) -> bool {
        self.scalar() == Some(word)
    }

    /// What stands here, quoted or not.
    pub(super) fn scalar(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Plain(text) | Value::Quoted(text) => Some(text),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    fn is_nothing(&self) -> bool {
        matches!(&self.node.value, Value::Plain(text) if is_nothing(text))
    }
}

impl<'a> Fields<'a> {
    /// The value of a key, when it is there.
    pub(super) fn optional(&self, key: &str) -> Option<Place<'a>> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        let path = self.place.path.then(Step::Key(&entry.key));
        Some(Place {
            node: &entry.value,
            path,
            faults: self.place.faults,
        })
    }

    /// The value of a key that must be there.
    pub(super) fn required(&self, key: &str) -> Option<Place<'a>> {
        let found = self.optional(key);
        if found.is_none() {
            self.place.refuse(format!("the key {key:?} is missing"));
        }
        found
    }
}

/// What the core schema of YAML 1.2 reads as null.
fn is_nothing(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// What the core schema of YAML 1.2 reads as a number or a truth value.
fn is_number_or_truth(text: &str) -> bool {
    let number = text.bytes().any(|byte| byte.is_ascii_digit()) && text.parse::<f64>().is_ok();
    let prefixed = text.strip_prefix("0x").or(text.strip_prefix("0o"));
    let prefixed = prefixed.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    number || prefixed || matches!(text, "true" | "True" | "TRUE" | "false" | "False" | "FALSE")
}

fn describe(value: &Value) -> String {
    match value {
        Value::Plain(text) if is_nothing(text) => "nothing".into(),
        Value::Plain(text) => format!("{:?}", shorten(text)),
        Value::Quoted(text) => format!("the text {:?}", shorten(text)),
        Value::List(_) => "a list".into(),
        Value::Map(_) => "keys and values".into(),
    }
}

/// Enough of a text to know it by.
fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn unknown_key(key: &str, known: &[&str]) -> String {
    let near = did_you_mean(key, known);
    if near.is_empty() {
        format!("unknown key; here may be {}", known.join(", "))
    } else {
        format!("unknown key{near}")
    }
}

/// `; did you mean "…"?` for a word that is a slip away, else nothing.
pub(super) fn did_you_mean(found: &str, known: &[&str]) -> String {
    // Distances grow with the product of both lengths, and no word of ours is longer than 32.
    if found.len() > 32 {
        return String::new();
    }
    let near = known.iter().map(|word| (strsim::osa_distance(found, word), word)).min();
    match near {
        Some((distance, word)) if distance <= 2 && distance < word.len() => format!("; did you mean {word:?}?"),
        _ => String::new(),
    }
}

fn one_of(words: &[&str]) -> String {
    match words {
        [only] => format!("{only:?}"),
        _ => format!("one of {}", words.join(", ")),
    }
}
