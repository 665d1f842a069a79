//! Which objects a list or a watch is about: by label, and by field.

use serde_json::Value;

/// Both selectors of a request; an object must be as all of their conditions want it.
#[derive(Debug, Clone, Default)]
pub(super) struct Selector {
    labels: Vec<Condition>,
    fields: Vec<Condition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Present(String),
    Absent(String),
}

// === impl Selector ===

impl Selector {
    /// As `labelSelector` and `fieldSelector` spell them.
    pub(super) fn parse(labels: &str, fields: &str) -> Self {
        Self {
            labels: conditions(labels),
            fields: conditions(fields),
        }
    }

    /// As objects spell it: `matchLabels` and `matchExpressions`. One that is not there is about every object.
    pub(super) fn of_labels(selector: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let equal = selector["matchLabels"].as_object().into_iter().flatten();
        let equal = equal.map(|(name, value)| Condition::In(name.clone(), vec![text(value)]));
        let said = selector["matchExpressions"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|said| {
                let values = said["values"].as_array().into_iter().flatten().map(text).collect();
                let key = text(&said["key"]);
                match said["operator"].as_str() {
                    Some("In") => Condition::In(key, values),
                    Some("NotIn") => Condition::NotIn(key, values),
                    Some("Exists") => Condition::Present(key),
                    _ => Condition::Absent(key),
                }
            });
        Self {
            labels: equal.chain(said).collect(),
            fields: Vec::new(),
        }
    }

    /// Whether an object is meant.
    pub(super) fn fits(&self, object: &Value) -> bool {
        let label = |name: &str| object["metadata"]["labels"].get(name).and_then(Value::as_str);
        let field = |path: &str| {
            path.split('.')
                .try_fold(object, |at, word| at.get(word))
                .and_then(Value::as_str)
        };
        self.labels.iter().all(|condition| condition.holds(label))
            && self.fields.iter().all(|condition| condition.holds(field))
    }
}

// === impl Condition ===

impl Condition {
    fn parse(text: &str) -> Self {
        let list = |values: &str| {
            let inside = values.trim().trim_start_matches('(').trim_end_matches(')');
            inside.split(',').map(|value| value.trim().to_owned()).collect()
        };
        if let Some((name, values)) = text.split_once(" notin ") {
            return Self::NotIn(name.trim().to_owned(), list(values));
        }
        if let Some((name, values)) = text.split_once(" in ") {
            return Self::In(name.trim().to_owned(), list(values));
        }
        if let Some((name, value)) = text.split_once("!=") {
            return Self::NotIn(name.to_owned(), vec![value.to_owned()]);
        }
        if let Some((name, value)) = text.split_once('=') {
            return Self::In(name.to_owned(), vec![value.trim_start_matches('=').to_owned()]);
        }
        match text.strip_prefix('!') {
            Some(name) => Self::Absent(name.to_owned()),
            None => Self::Present(text.to_owned()),
        }
    }

    fn holds<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> bool {
        let among =
            |name: &str, values: &[String]| value(name).is_some_and(|found| values.iter().any(|one| one == found));
        match self {
            Self::In(name, values) => among(name, values),
            Self::NotIn(name, values) => !among(name, values),
            Self::Present(name) => value(name).is_some(),
            Self::Absent(name) => value(name).is_none(),
        }
    }
}

/// Split at the commas outside parentheses.
fn conditions(text: &str) -> Vec<Condition> {
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for letter in text.chars() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if letter == ',' && depth == 0 {
            parts.push(String::new());
        } else if let Some(last) = parts.last_mut() {
            last.push(letter);
        }
    }
    let parts = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty());
    parts.map(Condition::parse).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_and_fields_are_told_as_kubectl_spells_them() {
        let pod = json!({"metadata": {"labels": {"app": "web", "tier": "1"}}, "spec": {"nodeName": "a"}});
        for (labels, fields, fits) in [
            ("", "", true),
            ("app=web,tier in (1,2)", "spec.nodeName=a", true),
            ("app==web", "spec.nodeName!=a", false),
            ("app notin (web)", "", false),
            ("!other,tier", "", true),
            ("app!=web", "", false),
            ("other", "", false),
        ] {
            assert_eq!(
                Selector::parse(labels, fields).fits(&pod),
                fits,
                "{labels:?} {fields:?}"
            );
        }
    }
}
