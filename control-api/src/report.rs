//! What is found while messages are decoded: faults and notes, each with the path of the field.
//!
//! A message is decoded in three layers, so that nothing a control plane says is dropped in silence:
//! 1. [`Report::open`]: fields that the generated types do not know are found in the message as it came;
//! 2. conversions destructure exhaustively, never with `..`: a field is used, or goes to [`refuse_set!`] or
//!    [`note_set!`], and a new one is a compile error;
//! 3. a `oneof` without a choice, an enum value without a name and an empty required field are faults.

use crate::fault::Fault;
use crate::fault::Faults;
use crate::fault::Note;
use crate::known;
use envoy_types::pb::google::protobuf::Any;
use prost::Message;
use prost::Name;
use std::collections::HashMap;
use std::fmt::Display;
use std::fmt::Write;

/// Faults, notes, and the path of the message that is being decoded.
#[derive(Default)]
pub(crate) struct Report {
    path: String,
    faults: Vec<Fault>,
    notes: Vec<Note>,
}

/// Whether a field of a message holds anything but its default.
pub(crate) trait Set {
    fn is_set(&self) -> bool;
}

/// Refuses each of these fields where it is set: we would not do what it says.
macro_rules! refuse_set {
    ($report:expr; $($field:ident),+ $(,)?) => {
        $($report.refuse_if_set(stringify!($field), &$field);)+
    };
}

/// Notes each of these fields where it is set: it changes nothing about where traffic goes.
macro_rules! note_set {
    ($report:expr; $($field:ident),+ $(,)?) => {
        $($report.note_if_set(stringify!($field), &$field);)+
    };
}

pub(crate) use note_set;
pub(crate) use refuse_set;

impl Report {
    /// Does something one field further down.
    pub(crate) fn within<T>(&mut self, field: impl Display, work: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.path.len();
        let dot = if before == 0 { "" } else { "." };
        // Writing to a `String` cannot fail.
        let _ = write!(self.path, "{dot}{field}");
        let result = work(self);
        self.path.truncate(before);
        result
    }

    /// Decodes each item of a repeated field; those that have faults are left out.
    pub(crate) fn each<I, T, R: IntoIterator<Item = T>>(
        &mut self,
        field: &str,
        items: Vec<I>,
        mut decode: impl FnMut(I, &mut Self) -> R,
    ) -> Vec<T> {
        let mut decoded = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            decoded.extend(self.within(format_args!("{field}[{index}]"), |report| decode(item, report)));
        }
        decoded
    }

    /// Checks each item of a repeated field.
    pub(crate) fn check_each<I>(&mut self, field: &str, items: Vec<I>, mut check: impl FnMut(I, &mut Self)) {
        for (index, item) in items.into_iter().enumerate() {
            self.within(format_args!("{field}[{index}]"), |report| check(item, report));
        }
    }

    /// Writes down a fault of the message itself.
    pub(crate) fn refuse(&mut self, reason: impl Into<String>) {
        self.faults.push(Fault {
            position: None,
            path: self.path.clone(),
            reason: reason.into(),
        });
    }

    /// Writes down a fault of a field.
    pub(crate) fn refuse_field(&mut self, field: &str, reason: impl Into<String>) {
        let reason = reason.into();
        self.within(field, |report| report.refuse(reason));
    }

    /// Refuses a field that is set.
    pub(crate) fn refuse_if_set(&mut self, field: &str, value: &impl Set) {
        if value.is_set() {
            self.refuse_field(field, "is not supported");
        }
    }

    /// Writes down a note of a field.
    pub(crate) fn note_field(&mut self, field: &str, reason: &str) {
        let reason = reason.to_owned();
        self.within(field, |report| {
            let path = report.path.clone();
            report.notes.push(Note { path, reason });
        });
    }

    /// Notes a field that is set.
    pub(crate) fn note_if_set(&mut self, field: &str, value: &impl Set) {
        if value.is_set() {
            self.note_field(field, "has no effect");
        }
    }

    /// Decodes a packed message of a known type and nothing but what the type knows.
    pub(crate) fn open<M: Message + Name + Default + 'static>(&mut self, any: &Any) -> Option<M> {
        if any.type_url != M::type_url() {
            self.refuse(format!("expected the type {}, found {:?}", M::type_url(), any.type_url));
            return None;
        }
        match M::decode(any.value.as_slice()) {
            Err(error) => {
                self.refuse(format!("not a {}: {error}", M::NAME));
                None
            }
            Ok(message) => match known::check::<M>(&any.value) {
                Ok(()) => Some(message),
                Err(field) => {
                    self.refuse(format!(
                        "holds a field of {} that is not known: number {field}",
                        M::NAME
                    ));
                    None
                }
            },
        }
    }

    /// Whether anything was refused.
    pub(crate) fn has_faults(&self) -> bool {
        !self.faults.is_empty()
    }

    /// All faults, or the notes where there are none.
    pub(crate) fn finish(self) -> Result<Vec<Note>, Faults> {
        if self.faults.is_empty() {
            Ok(self.notes)
        } else {
            Err(Faults(self.faults))
        }
    }
}

impl<T> Set for Option<T> {
    fn is_set(&self) -> bool {
        self.is_some()
    }
}

impl<T> Set for Vec<T> {
    fn is_set(&self) -> bool {
        !self.is_empty()
    }
}

impl<K, V> Set for HashMap<K, V> {
    fn is_set(&self) -> bool {
        !self.is_empty()
    }
}

impl Set for String {
    fn is_set(&self) -> bool {
        !self.is_empty()
    }
}

impl Set for bool {
    fn is_set(&self) -> bool {
        *self
    }
}

impl Set for i32 {
    fn is_set(&self) -> bool {
        *self != 0
    }
}

impl Set for u32 {
    fn is_set(&self) -> bool {
        *self != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use envoy_types::pb::envoy::config::core::v3::Locality;
    use envoy_types::util::pack_any;

    fn faults(work: impl FnOnce(&mut Report)) -> Vec<String> {
        let mut report = Report::default();
        work(&mut report);
        report
            .finish()
            .err()
            .unwrap_or_default()
            .0
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_field_that_the_types_do_not_know_is_refused() {
        let mut any = pack_any(Locality {
            zone: "a".into(),
            ..Locality::default()
        });
        assert!(faults(|report| assert!(report.open::<Locality>(&any).is_some())).is_empty());
        any.value.extend([0xf8, 0x3f, 1]); // field 1023, a number
        let found = faults(|report| assert!(report.open::<Locality>(&any).is_none()));
        assert_eq!(found, ["holds a field of Locality that is not known: number 1023"]);
    }

    #[test]
    fn a_message_of_another_type_is_refused() {
        let any = pack_any(Locality::default());
        let found = faults(|report| assert!(report.open::<Any>(&any).is_none()));
        assert!(
            found[0].contains("expected the type type.googleapis.com/google.protobuf.Any"),
            "{found:?}"
        );
    }

    #[test]
    fn a_fault_names_the_whole_path() {
        let found = faults(|report| {
            report.within("one", |report| {
                report.each("two", vec![true, false], |item, report| {
                    report.refuse_if_set("three", &item);
                    Some(())
                });
            });
        });
        assert_eq!(found, ["one.two[0].three: is not supported"]);
    }
}
