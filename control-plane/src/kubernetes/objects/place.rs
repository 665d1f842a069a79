//! A value of an object, and where it stands. Fields that are not known are refused here, so that nothing that a user
//! has written is dropped in silence, whatever version of the Gateway API it is from.

use serde_json::{Map, Value};
use std::cell::RefCell;
use std::fmt::Display;
use std::time::Duration;

/// What is wrong with an object, each with its place.
#[derive(Debug, Default)]
pub(super) struct Faults(RefCell<Vec<String>>);

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    value: &'a Value,
    path: String,
    faults: &'a Faults,
}

/// The fields of an object.
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: String,
    faults: &'a Faults,
}

impl Faults {
    /// Whether nothing is wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Adds others.
    pub(super) fn extend(&self, others: Vec<String>) {
        self.0.borrow_mut().extend(others);
    }

    /// All, in the order in which they were found.
    pub(super) fn into_inner(self) -> Vec<String> {
        self.0.into_inner()
    }
}

/// A duration as the Gateway API writes it (GEP-2257), such as `1h30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let parsed: gateway_api::Duration = text.parse()?;
    Ok(Duration::new(parsed.as_secs(), parsed.subsec_nanos()))
}

impl<'a> Place<'a> {
    /// The root of what is read.
    pub(super) fn new(path: &str, value: &'a Value, faults: &'a Faults) -> Self {
        Self {
            value,
            path: path.to_owned(),
            faults,
        }
    }

    /// Writes down what is wrong here.
    pub(super) fn refuse(&self, reason: impl Display) {
        self.faults.0.borrow_mut().push(format!("{}: {reason}", self.path));
    }

    /// The fields of an object; all others than these are refused.
    pub(super) fn fields(&self, known: &[&str]) -> Option<Fields<'a>> {
        let Value::Object(map) = self.value else {
            self.refuse("is no object");
            return None;
        };
        let fields = Fields {
            map,
            path: self.path.clone(),
            faults: self.faults,
        };
        for (key, value) in map {
            if !known.contains(&key.as_str()) && !value.is_null() {
                fields.at(key, value).refuse("is not supported");
            }
        }
        Some(fields)
    }

    /// One field of an object, before it is known which others it may have.
    pub(super) fn field(&self, key: &str) -> Option<Self> {
        let value = self.value.get(key).filter(|value| !value.is_null());
        if value.is_none() {
            self.refuse(format_args!("{key} is missing"));
        }
        Some(Self {
            value: value?,
            path: format!("{}.{key}", self.path),
            faults: self.faults,
        })
    }

    /// The same place, with its faults written down elsewhere.
    pub(super) fn with<'b>(&self, faults: &'b Faults) -> Place<'b>
    where
        'a: 'b,
    {
        Place {
            value: self.value,
            path: self.path.clone(),
            faults,
        }
    }

    /// The value as it was written.
    pub(super) fn value(&self) -> &'a Value {
        self.value
    }

    /// Where it stands.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The items of a list.
    pub(super) fn items(&self) -> Vec<Self> {
        let Value::Array(items) = self.value else {
            self.refuse("is no list");
            return Vec::new();
        };
        let place = |(index, value)| Self {
            value,
            path: format!("{}[{index}]", self.path),
            faults: self.faults,
        };
        items.iter().enumerate().map(place).collect()
    }

    /// A text.
    pub(super) fn text(&self) -> Option<&'a str> {
        let text = self.value.as_str();
        if text.is_none() {
            self.refuse("is no text");
        }
        text
    }

    /// A whole number of this type.
    pub(super) fn number<T: TryFrom<i64>>(&self) -> Option<T> {
        let number = self.value.as_i64().and_then(|number| T::try_from(number).ok());
        if number.is_none() {
            self.refuse(format_args!("{} is not in the range", self.value));
        }
        number
    }

    /// One of these words; any other is refused.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            self.refuse(format_args!("{text} is not supported"));
        }
        found.map(|(_, meaning)| *meaning)
    }
}

impl<'a> Fields<'a> {
    /// A field that need not be there.
    pub(super) fn optional(&self, key: &str) -> Option<Place<'a>> {
        let value = self.map.get(key).filter(|value| !value.is_null())?;
        Some(self.at(key, value))
    }

    /// A field that has to be there.
    pub(super) fn required(&self, key: &str) -> Option<Place<'a>> {
        let found = self.optional(key);
        if found.is_none() {
            self.at(key, &Value::Null).refuse("is missing");
        }
        found
    }

    /// The items of a list that need not be there.
    pub(super) fn items(&self, key: &str) -> Vec<Place<'a>> {
        self.optional(key).map_or_else(Vec::new, |list| list.items())
    }

    fn at<'b>(&self, key: &str, value: &'b Value) -> Place<'b>
    where
        'a: 'b,
    {
        Place {
            value,
            path: format!("{}.{key}", self.path),
            faults: self.faults,
        }
    }
}
