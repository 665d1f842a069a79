//! From a value to the one that it is to become: as JSON Patch (RFC 6902), in as few words as the change has.

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation, ReplaceOperation};
use serde_json::Value;

/// The patch. Lists of things with names, such as containers, are compared by those names: what is new in front of the
/// others is added there, instead of rewriting all that come after it.
pub(super) fn between(before: &Value, after: &Value) -> Patch {
    let mut operations = Vec::new();
    compare(&mut PointerBuf::root(), before, after, &mut operations);
    Patch(operations)
}

fn compare(path: &mut PointerBuf, before: &Value, after: &Value, operations: &mut Vec<PatchOperation>) {
    match (before, after) {
        _ if before == after => {}
        (Value::Object(old), Value::Object(new)) => {
            for key in old.keys().filter(|key| !new.contains_key(*key)) {
                path.push_back(key);
                operations.push(PatchOperation::Remove(RemoveOperation { path: path.clone() }));
                path.pop_back();
            }
            for (key, value) in new {
                path.push_back(key);
                match old.get(key) {
                    Some(before) => compare(path, before, value, operations),
                    None => operations.push(add(path, value)),
                }
                path.pop_back();
            }
        }
        (Value::Array(old), Value::Array(new)) if only_grows(old, new) => {
            let mut rest = old.iter().peekable();
            for (index, value) in new.iter().enumerate() {
                path.push_back(index);
                match rest.next_if(|before| is_the_same(before, value)) {
                    Some(before) => compare(path, before, value, operations),
                    None => operations.push(add(path, value)),
                }
                path.pop_back();
            }
        }
        _ => operations.push(PatchOperation::Replace(ReplaceOperation {
            path: path.clone(),
            value: after.clone(),
        })),
    }
}

/// Whether all that was in a list is still there, in the same order.
fn only_grows(old: &[Value], new: &[Value]) -> bool {
    let mut rest = old.iter().peekable();
    for value in new {
        rest.next_if(|before| is_the_same(before, value));
    }
    rest.peek().is_none()
}

/// Whether two items are one thing, perhaps changed.
fn is_the_same(before: &Value, after: &Value) -> bool {
    match (before.get("name"), after.get("name")) {
        (Some(before), Some(after)) => before == after,
        _ => before == after,
    }
}

fn add(path: &PointerBuf, value: &Value) -> PatchOperation {
    PatchOperation::Add(AddOperation {
        path: path.clone(),
        value: value.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(before: &Value, after: &Value, operations: usize) {
        let patch = between(before, after);
        assert_eq!(patch.0.len(), operations, "{patch}");
        let mut patched = before.clone();
        json_patch::patch(&mut patched, &patch).unwrap();
        assert_eq!(patched, *after, "{patch}");
    }

    #[test]
    fn a_patch_leads_from_one_value_to_the_other_in_few_words() {
        check(&json!({"a": 1}), &json!({"a": 1}), 0);
        check(&json!({"a": 1, "b": 2}), &json!({"a": 3, "c/d~": {}}), 3);
        check(&json!([1, 2]), &json!([0, 1, 2]), 1);
        let before = json!([{"name": "a", "x": 1}, {"name": "b"}]);
        check(
            &before,
            &json!([{"name": "new"}, {"name": "a", "x": 2}, {"name": "b"}, {"name": "last"}]),
            3,
        );
    }

    #[test]
    fn a_list_that_lost_or_moved_something_is_replaced() {
        let before = json!([{"name": "a"}, {"name": "b"}]);
        check(&before, &json!([{"name": "b"}, {"name": "a"}]), 1);
        check(&before, &json!([{"name": "b"}]), 1);
        check(&json!({"a": null}), &json!({"a": []}), 1);
    }
}
