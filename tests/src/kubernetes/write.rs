//! Create, update, patch, delete. A write of a version that is not the last is a conflict; a status is written at `/status`
//! alone.

use std::collections::BTreeMap;

use hyper::StatusCode;
use serde_json::Value;
use serde_json::json;

use super::patch;
use super::patch::Style;
use super::path::Query;
use super::path::Target;
use super::status::Refusal;
use super::store::Key;
use super::world::World;

/// What each manager has applied last, to an object or to a subresource of it.
#[derive(Debug, Default)]
pub(super) struct Applied(BTreeMap<(Key, Option<String>, String), Value>);

type Written = Result<(StatusCode, Value), Refusal>;

/// `POST`.
pub(super) fn create(world: &mut World, target: &Target, query: &Query, mut object: Value) -> Written {
    if target.name.is_some() {
        return Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "there is nothing to create at this path",
        ));
    }
    if let Some(prefix) = object["metadata"]["generateName"].as_str()
        && object["metadata"]["name"].is_null()
    {
        object["metadata"]["name"] = json!(format!("{prefix}{}", world.store.version()));
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let key = key(target, &name)?;
    if world.store.find(&key).is_some() {
        return Err(Refusal::exists(format!(
            "{} {name:?} already exists",
            target.kind.plural
        )));
    }
    if target.kind.has_status
        && let Some(fields) = object.as_object_mut()
    {
        fields.remove("status");
    }
    Ok((StatusCode::CREATED, store(world, query, key, object)))
}

/// `PUT`.
pub(super) fn update(world: &mut World, target: &Target, query: &Query, object: Value) -> Written {
    let (key, before) = found(world, target)?;
    unchanged(&before, &object["metadata"])?;
    Ok((
        StatusCode::OK,
        store(world, query, key, within(target, &before, object)?),
    ))
}

/// `PATCH`, of the styles that `patch` knows; an apply creates what is not there.
pub(super) fn patch(world: &mut World, target: &Target, query: &Query, style: Style, change: &Value) -> Written {
    let name = target.name.clone().unwrap_or_default();
    if style == Style::Apply && target.subresource.is_none() && world.store.find(&key(target, &name)?).is_none() {
        let target = Target {
            name: None,
            ..target.clone()
        };
        let mut object = change.clone();
        object["metadata"]["name"] = json!(name);
        let created = create(world, &target, query, object)?;
        remember(world, &target, &name, query, change)?;
        return Ok(created);
    }
    let (key, before) = found(world, target)?;
    unchanged(&before, &change["metadata"])?;
    let mut object = before.clone();
    if style == Style::Apply
        && let Some(last) = remember(world, target, &name, query, change)?
    {
        patch::prune(&mut object, &last, change);
    }
    patch::merge(&mut object, change, style);
    Ok((
        StatusCode::OK,
        store(world, query, key, within(target, &before, object)?),
    ))
}

/// `DELETE`.
pub(super) fn delete(world: &mut World, target: &Target, options: &Value) -> Written {
    let (key, before) = found(world, target)?;
    unchanged(&before, &options["preconditions"])?;
    world.store.remove(&key);
    let details = json!({"name": key.name, "kind": key.kind.plural, "uid": before["metadata"]["uid"]});
    Ok((
        StatusCode::OK,
        json!({"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Success", "details": details}),
    ))
}

/// `GET` of one object.
pub(super) fn get(world: &World, target: &Target) -> Written {
    Ok((StatusCode::OK, found(world, target)?.1))
}

fn key(target: &Target, name: &str) -> Result<Key, Refusal> {
    let wanted = |what: &str| {
        Refusal::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("{} without {what}", target.kind.plural),
        )
    };
    if name.is_empty() {
        return Err(wanted("a name"));
    }
    if target.kind.namespaced && target.namespace.is_none() {
        return Err(wanted("a namespace"));
    }
    Ok(Key {
        kind: target.kind,
        namespace: target.namespace.clone().unwrap_or_default(),
        name: name.to_owned(),
    })
}

fn found(world: &World, target: &Target) -> Result<(Key, Value), Refusal> {
    let name = target.name.clone().unwrap_or_default();
    let key = key(target, &name)?;
    match world.store.find(&key) {
        Some(object) => Ok((key, object.clone())),
        None => Err(Refusal::new(
            StatusCode::NOT_FOUND,
            format!("{} {name:?} not found", target.kind.plural),
        )),
    }
}

/// A conflict where the client has seen another version, or another object of that name.
fn unchanged(before: &Value, seen: &Value) -> Result<(), Refusal> {
    for field in ["resourceVersion", "uid"] {
        let given = seen[field].as_str().filter(|given| !given.is_empty());
        if given.is_some_and(|given| before["metadata"][field] != given) {
            return Err(Refusal::new(
                StatusCode::CONFLICT,
                "the object has been modified; please apply your changes to the latest version and try again",
            ));
        }
    }
    Ok(())
}

/// What of a write counts at this path.
fn within(target: &Target, before: &Value, mut object: Value) -> Result<Value, Refusal> {
    match target.subresource.as_deref() {
        Some("status") if target.kind.has_status => {
            let mut written = before.clone();
            written["status"] = object["status"].take();
            Ok(written)
        }
        None if target.kind.has_status => {
            if let Some(fields) = object.as_object_mut() {
                fields.remove("status");
                fields.extend(before.get("status").map(|status| ("status".to_owned(), status.clone())));
            }
            Ok(object)
        }
        None => Ok(object),
        Some(other) => Err(Refusal::new(
            StatusCode::NOT_FOUND,
            format!("{} have no {other}", target.kind.plural),
        )),
    }
}

fn store(world: &mut World, query: &Query, key: Key, mut object: Value) -> Value {
    if key.kind.namespaced {
        object["metadata"]["namespace"] = json!(key.namespace);
    }
    if query.value("dryRun") == "All" {
        return object;
    }
    world.store.write(key, object)
}

/// What the manager had applied before, which is now this.
fn remember(
    world: &mut World,
    target: &Target,
    name: &str,
    query: &Query,
    change: &Value,
) -> Result<Option<Value>, Refusal> {
    let manager = query.value("fieldManager");
    if manager.is_empty() {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "an apply needs a fieldManager"));
    }
    let place = (key(target, name)?, target.subresource.clone(), manager.to_owned());
    Ok(world.applied.0.insert(place, change.clone()))
}
