//! A place in a tree of values: how to read it as what is expected there.
//!
//! Reading never stops at a fault: it is written down with its path, the caller goes on with a default, and the text is
//! refused at the end with all of them.

use evenkeel_control_api::fault::Fault;
use serde_json::{Map, Value};
use std::cell::RefCell;

/// Where the faults are collected.
pub(super) type FaultList = RefCell<Vec<Fault>>;

/// A value and the way to it.
pub(super) struct Place<'a> {
    value: &'a Value,
    path: String,
    faults: &'a FaultList,
}

/// A mapping whose keys are known to be allowed.
pub(super) struct Fields<'a> {
    map: Option<&'a Map<String, Value>>,
    path: String,
    faults: &'a FaultList,
}

impl<'a> Place<'a> {
    /// The whole text.
    pub(super) fn root(value: &'a Value, faults: &'a FaultList) -> Self {
        Self {
            value,
            path: String::new(),
            faults,
        }
    }

    /// Writes a fault of this value down.
    pub(super) fn refuse(&self, reason: impl Into<String>) {
        refuse(self.faults, self.path.clone(), reason.into());
    }

    /// This as a mapping that holds no keys but `known`; nothing at all is an empty one.
    pub(super) fn fields(&self, known: &[&str]) -> Fields<'a> {
        let map = match self.value {
            Value::Object(map) => Some(map),
            Value::Null => None,
            _ => {
                self.refuse("expected keys and values");
                None
            }
        };
        for key in map.into_iter().flat_map(Map::keys) {
            if !known.contains(&key.as_str()) {
                refuse(self.faults, join(&self.path, key), unknown_key(key, known));
            }
        }
        Fields {
            map,
            path: self.path.clone(),
            faults: self.faults,
        }
    }

    /// This as a mapping that was looked at already.
    pub(super) fn map(&self) -> Option<&'a Map<String, Value>> {
        self.value.as_object().filter(|map| !map.is_empty())
    }

    /// This as a list; nothing at all is an empty one.
    pub(super) fn items(&self) -> Vec<Place<'a>> {
        let items = match self.value {
            Value::Array(items) => items.as_slice(),
            Value::Null => &[],
            _ => {
                self.refuse("expected a list");
                &[]
            }
        };
        let place = |(index, value)| Place {
            value,
            path: format!("{}[{index}]", self.path),
            faults: self.faults,
        };
        items.iter().enumerate().map(place).collect()
    }

    /// This as a mapping of any keys.
    pub(super) fn entries(&self) -> Vec<(&'a str, Place<'a>)> {
        let entry = |(key, value): (&'a String, &'a Value)| {
            let place = Place {
                value,
                path: join(&self.path, key),
                faults: self.faults,
            };
            (key.as_str(), place)
        };
        match self.value {
            Value::Object(map) => map.iter().map(entry).collect(),
            Value::Null => Vec::new(),
            _ => {
                self.refuse("expected keys and values");
                Vec::new()
            }
        }
    }

    /// This as text that is not empty.
    pub(super) fn text(&self) -> Option<&'a str> {
        match self.value {
            Value::String(text) if !text.trim().is_empty() => Some(text),
            Value::String(_) => {
                self.refuse("is empty");
                None
            }
            Value::Bool(_) | Value::Number(_) => {
                self.refuse("expected text; put it in quotes");
                None
            }
            _ => {
                self.refuse("expected text");
                None
            }
        }
    }

    /// This as text or as a number, as it would be written.
    pub(super) fn scalar(&self) -> Option<String> {
        match self.value {
            Value::Number(number) => Some(number.to_string()),
            _ => self.text().map(str::to_owned),
        }
    }

    /// This as what `read` makes of its text.
    pub(super) fn read<T>(&self, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.scalar()?;
        read(&text).map_err(|reason| self.refuse(reason)).ok()
    }

    /// This as yes or no.
    pub(super) fn truth(&self) -> Option<bool> {
        let truth = self.value.as_bool();
        if truth.is_none() {
            self.refuse("expected true or false");
        }
        truth
    }

    /// This as one of the words.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = word(text, words);
        found.map_err(|reason| self.refuse(reason)).ok()
    }
}

impl<'a> Fields<'a> {
    /// The value of a key, where it has one.
    pub(super) fn optional(&self, key: &str) -> Option<Place<'a>> {
        let value = self.map?.get(key).filter(|value| !value.is_null())?;
        Some(Place {
            value,
            path: join(&self.path, key),
            faults: self.faults,
        })
    }

    /// The value of a key, which must be there.
    pub(super) fn required(&self, key: &str) -> Option<Place<'a>> {
        let place = self.optional(key);
        if place.is_none() {
            refuse(self.faults, join(&self.path, key), "is missing".to_owned());
        }
        place
    }
}

/// What one of the words means.
pub(super) fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let names = || words.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let found = words.iter().find(|(name, _)| *name == text);
    found
        .map(|(_, meaning)| *meaning)
        .ok_or_else(|| format!("{text:?} is not one of {}", names()))
}

/// That nobody knows this key, and which one was meant.
pub(super) fn unknown_key(key: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(key, name), name))
        .min();
    match nearest {
        Some((distance, name)) if distance <= 1 + name.len() / 4 => format!("unknown key; did you mean {name:?}?"),
        _ => format!("unknown key; known are {}", known.join(", ")),
    }
}

fn refuse(faults: &FaultList, path: String, reason: String) {
    faults.borrow_mut().push(Fault {
        position: None,
        path,
        reason,
    });
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
