//! Members of JSON objects, taken one by one: what nobody takes is noted.

use crate::report::Report;
use serde_json::Map;
use serde_json::Value;

/// An object whose members are taken out as they are read.
pub(super) struct Object(Map<String, Value>);

impl Object {
    /// An object, and nothing else.
    pub(super) fn of(value: Value, report: &mut Report) -> Option<Self> {
        match value {
            Value::Object(members) => Some(Self(members)),
            other => {
                report.refuse(format!("is {}, and must be an object", name_of(&other)));
                None
            }
        }
    }

    /// A member of any type; one that is `null` is not there.
    pub(super) fn take(&mut self, member: &str) -> Option<Value> {
        self.0.remove(member).filter(|value| !value.is_null())
    }

    /// A member that is text.
    pub(super) fn text(&mut self, member: &str, report: &mut Report) -> Option<String> {
        match self.take(member)? {
            Value::String(text) => Some(text),
            other => {
                report.refuse_field(member, format!("is {}, and must be text", name_of(&other)));
                None
            }
        }
    }

    /// A member that is an object.
    pub(super) fn object(&mut self, member: &str, report: &mut Report) -> Option<Self> {
        let value = self.take(member)?;
        report.within(member, |report| Self::of(value, report))
    }

    /// A member that is a list.
    pub(super) fn list(&mut self, member: &str, report: &mut Report) -> Option<Vec<Value>> {
        match self.take(member)? {
            Value::Array(items) => Some(items),
            other => {
                report.refuse_field(member, format!("is {}, and must be a list", name_of(&other)));
                None
            }
        }
    }

    /// All members, as they are.
    pub(super) fn into_members(self) -> Map<String, Value> {
        self.0
    }

    /// Notes what is left.
    pub(super) fn finish(self, report: &mut Report) {
        for member in self.0.keys() {
            report.note_field(member, "is not used");
        }
    }
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
