//! What is written into the status of routes and policies. [`merged`] decides and is pure; `writer` asks the API server.
//!
//! The list in a status belongs to several controllers: entries of others stay as they are.

mod writer;

pub use writer::write;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value, json};

/// Who says it: the `controllerName` of our entries.
pub const CONTROLLER: &str = "evenkeel.io/control";
/// What the API server takes of a message.
const LONGEST_MESSAGE: usize = 32_768;

/// What is said of an object in one respect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Such as `Accepted`.
    pub kind: &'static str,
    /// Its status.
    pub holds: bool,
    /// Such as `UnsupportedValue`.
    pub reason: &'static str,
    /// A sentence for people, with the place.
    pub message: String,
}

/// Where the entries of a status stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `status.parents`, as in routes.
    Parents,
    /// `status.ancestors`, as in policies.
    Ancestors,
}

impl Condition {
    /// In these words.
    pub fn new(kind: &'static str, holds: bool, reason: &'static str, mut message: String) -> Self {
        let end = (0..=LONGEST_MESSAGE.min(message.len())).rfind(|&end| message.is_char_boundary(end));
        message.truncate(end.unwrap_or_default());
        Self {
            kind,
            holds,
            reason,
            message,
        }
    }
}

impl Shape {
    /// The field of the status.
    pub fn list(self) -> &'static str {
        match self {
            Self::Parents => "parents",
            Self::Ancestors => "ancestors",
        }
    }

    /// The field of an entry that says what it is about.
    fn about(self) -> &'static str {
        match self {
            Self::Parents => "parentRef",
            Self::Ancestors => "ancestorRef",
        }
    }
}

/// The list that a status is to have; `None`: it has it already.
pub fn merged(
    current: &[Value],
    shape: Shape,
    said: &[(Value, Vec<Condition>)],
    generation: i64,
    now: Timestamp,
) -> Option<Vec<Value>> {
    let ours = |entry: &Value| entry.get("controllerName").and_then(Value::as_str) == Some(CONTROLLER);
    let said_of = |entry: &Value| said.iter().find(|(about, _)| entry.get(shape.about()) == Some(about));
    let mut next: Vec<Value> = Vec::with_capacity(current.len() + said.len());
    for entry in current {
        if !ours(entry) {
            next.push(entry.clone());
        } else if let Some((about, conditions)) = said_of(entry) {
            next.push(self::entry(Some(entry), shape, about, conditions, generation, now));
        }
    }
    for (about, conditions) in said {
        let known = |entry: &Value| ours(entry) && entry.get(shape.about()) == Some(about);
        if !next.iter().any(known) {
            next.push(entry(None, shape, about, conditions, generation, now));
        }
    }
    (next != current).then_some(next)
}

fn entry(
    before: Option<&Value>,
    shape: Shape,
    about: &Value,
    conditions: &[Condition],
    generation: i64,
    now: Timestamp,
) -> Value {
    let before = before.and_then(|entry| entry.get("conditions")?.as_array());
    let before = before.map_or(&[][..], Vec::as_slice);
    let conditions = conditions.iter().map(|condition| {
        let status = if condition.holds { "True" } else { "False" };
        let same = |old: &&Value| {
            let field = |key| old.get(key).and_then(Value::as_str);
            field("type") == Some(condition.kind) && field("status") == Some(status)
        };
        let since = before.iter().find(same).and_then(|old| old.get("lastTransitionTime"));
        json!({
            "type": condition.kind,
            "status": status,
            "reason": condition.reason,
            "message": condition.message,
            "observedGeneration": generation,
            "lastTransitionTime": since.cloned().unwrap_or_else(|| seconds(now)),
        })
    });
    let mut entry = Map::new();
    entry.insert(shape.about().to_owned(), about.clone());
    entry.insert("controllerName".to_owned(), CONTROLLER.into());
    entry.insert("conditions".to_owned(), conditions.collect());
    Value::Object(entry)
}

/// As `metav1.Time` is written: whole seconds.
fn seconds(now: Timestamp) -> Value {
    let whole = Timestamp::from_second(now.as_second()).unwrap_or(now);
    Value::String(whole.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(name: &str) -> Value {
        json!({"group": "", "kind": "Service", "name": name})
    }

    fn accepted(holds: bool, message: &str) -> Vec<Condition> {
        let reason = if holds { "Accepted" } else { "UnsupportedValue" };
        vec![Condition::new("Accepted", holds, reason, message.to_owned())]
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_is_said_already_is_not_written_again() {
        let said = [(about("web"), accepted(true, "in force"))];
        let first = merged(&[], Shape::Parents, &said, 3, at(100)).unwrap();
        assert_eq!(
            first,
            [json!({
                "parentRef": about("web"),
                "controllerName": "evenkeel.io/control",
                "conditions": [{
                    "type": "Accepted", "status": "True", "reason": "Accepted", "message": "in force",
                    "observedGeneration": 3, "lastTransitionTime": "1970-01-01T00:01:40Z",
                }],
            })]
        );
        assert_eq!(merged(&first, Shape::Parents, &said, 3, at(200)), None);
        assert!(
            merged(&first, Shape::Parents, &said, 4, at(200)).is_some(),
            "another generation"
        );
    }

    #[test]
    fn the_time_of_a_transition_is_that_of_the_status() {
        let time = |list: &[Value]| list[0]["conditions"][0]["lastTransitionTime"].clone();
        let said = |holds, message| [(about("web"), accepted(holds, message))];
        let first = merged(&[], Shape::Ancestors, &said(true, "a"), 1, at(1)).unwrap();
        let second = merged(&first, Shape::Ancestors, &said(true, "b"), 2, at(2)).unwrap();
        assert_eq!(time(&second), time(&first), "another message is no transition");
        let third = merged(&second, Shape::Ancestors, &said(false, "b"), 2, at(3)).unwrap();
        assert_eq!(time(&third), json!("1970-01-01T00:00:03Z"));
    }

    #[test]
    fn entries_of_others_stay_as_they_are_and_where_they_are() {
        let other =
            json!({"parentRef": about("web"), "controllerName": "example.com/other", "conditions": [], "new": 1});
        let stale = json!({"parentRef": about("gone"), "controllerName": CONTROLLER, "conditions": []});
        let current = [stale, other.clone()];
        let said = [(about("web"), accepted(true, "in force"))];
        let next = merged(&current, Shape::Parents, &said, 1, at(1)).unwrap();
        assert_eq!(next[0], other);
        assert_eq!(next[1]["controllerName"], CONTROLLER);
        assert_eq!(next.len(), 2, "ours about what is gone goes");
        assert_eq!(merged(&current[1..], Shape::Parents, &[], 1, at(1)), None);
        assert_eq!(merged(&current, Shape::Parents, &[], 1, at(1)), Some(vec![other]));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let long = "é".repeat(LONGEST_MESSAGE);
        let condition = Condition::new("Accepted", false, "UnsupportedValue", format!("x{long}"));
        assert_eq!(condition.message.len(), LONGEST_MESSAGE - 1);
    }
}
