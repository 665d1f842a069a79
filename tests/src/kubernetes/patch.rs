//! Patches: merge (RFC 7386), strategic merge, and server-side apply. Of lists with keys only conditions are known, the one
//! such list that a status has; other lists are replaced.

use serde_json::Value;

/// How a patch is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Merge,
    Strategic,
    Apply,
}

// === impl Style ===

impl Style {
    /// By the content type of the request.
    pub(super) fn of(content_type: &str) -> Option<Self> {
        match content_type {
            "application/merge-patch+json" => Some(Self::Merge),
            "application/strategic-merge-patch+json" => Some(Self::Strategic),
            "application/apply-patch+yaml" => Some(Self::Apply),
            _ => None,
        }
    }
}

/// Merges a patch into an object.
pub(super) fn merge(target: &mut Value, patch: &Value, style: Style) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    for (name, value) in fields {
        if value.is_null() && style != Style::Apply {
            if let Some(target) = target.as_object_mut() {
                target.remove(name);
            }
        } else if name == "conditions" && style != Style::Merge && target[name].is_array() && value.is_array() {
            merge_conditions(&mut target[name], value);
        } else {
            merge(&mut target[name], value, style);
        }
    }
}

/// Takes away what a manager applied before and applies no more.
pub(super) fn prune(target: &mut Value, before: &Value, now: &Value) {
    if let (Some(old), Some(new)) = (before.as_array(), now.as_array()) {
        let kind = |condition: &Value| condition["type"].as_str().map(str::to_owned);
        let dropped: Vec<_> = old
            .iter()
            .filter_map(kind)
            .filter(|word| !new.iter().any(|one| kind(one).as_ref() == Some(word)))
            .collect();
        if let Some(target) = target.as_array_mut() {
            target.retain(|condition| kind(condition).is_none_or(|word| !dropped.contains(&word)));
        }
    }
    let (Some(old), Some(target)) = (before.as_object(), target.as_object_mut()) else {
        return;
    };
    for (name, value) in old {
        match (now.get(name), target.get_mut(name)) {
            (None, _) => drop(target.remove(name)),
            (Some(now), Some(target)) => prune(target, value, now),
            (Some(_), None) => {}
        }
    }
}

fn merge_conditions(target: &mut Value, patch: &Value) {
    let (Some(target), Some(patch)) = (target.as_array_mut(), patch.as_array()) else {
        return;
    };
    for condition in patch {
        match target.iter_mut().find(|one| one["type"] == condition["type"]) {
            Some(one) => merge(one, condition, Style::Strategic),
            None => target.push(condition.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_merge_patch_takes_away_what_is_null_and_replaces_lists() {
        let mut object = json!({"a": {"b": 1, "c": 2}, "list": [1, 2]});
        merge(&mut object, &json!({"a": {"b": null}, "list": [3]}), Style::Merge);
        assert_eq!(object, json!({"a": {"c": 2}, "list": [3]}));
    }

    #[test]
    fn conditions_are_merged_by_their_type() {
        let mut status = json!({"conditions": [{"type": "A", "status": "True"}, {"type": "B", "status": "True"}]});
        let patch = json!({"conditions": [{"type": "B", "status": "False"}, {"type": "C", "status": "True"}]});
        merge(&mut status, &patch, Style::Apply);
        let found = status["conditions"].as_array().unwrap();
        let words: Vec<_> = found
            .iter()
            .map(|one| format!("{}{}", one["type"], one["status"]))
            .collect();
        assert_eq!(words, [r#""A""True""#, r#""B""False""#, r#""C""True""#]);
    }

    #[test]
    fn what_a_manager_applies_no_more_is_taken_away() {
        let mut object = json!({"mine": 1, "other": 2, "conditions": [{"type": "A"}, {"type": "B"}]});
        let before = json!({"mine": 1, "conditions": [{"type": "A"}]});
        prune(&mut object, &before, &json!({"conditions": []}));
        assert_eq!(object, json!({"other": 2, "conditions": [{"type": "B"}]}));
    }
}
