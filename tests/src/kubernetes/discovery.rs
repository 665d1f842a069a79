//! Which groups, versions and kinds there are.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;

use super::kind::Kind;
use super::world::World;

/// What is answered at one of the paths of discovery; `None` where there is nothing.
pub(super) fn page(world: &World, path: &str) -> Option<Value> {
    let words: Vec<_> = path.trim_matches('/').split('/').collect();
    match words.as_slice() {
        ["version"] => Some(json!({
            "major": "1", "minor": world.minor.to_string(), "gitVersion": format!("v1.{}.0", world.minor),
            "gitCommit": "", "gitTreeState": "clean", "buildDate": "2026-01-01T00:00:00Z",
            "goVersion": "go1.24", "compiler": "gc", "platform": "linux/amd64",
        })),
        ["api"] => Some(json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})),
        ["apis"] => {
            let names: BTreeSet<_> = served(world)
                .map(|kind| kind.group)
                .filter(|name| !name.is_empty())
                .collect();
            let groups: Vec<_> = names.into_iter().filter_map(|name| group(world, name)).collect();
            Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        }
        ["apis", name] => group(world, name),
        ["api", version] => resources(world, "", version),
        ["apis", group, version] => resources(world, group, version),
        _ => None,
    }
}

fn served(world: &World) -> impl Iterator<Item = &'static Kind> {
    Kind::all().filter(|kind| world.serves(kind))
}

fn group(world: &World, name: &str) -> Option<Value> {
    let versions: BTreeSet<_> = served(world)
        .filter(|kind| kind.group == name)
        .map(|kind| kind.version)
        .collect();
    let versions: Vec<_> = versions
        .into_iter()
        .map(|version| json!({"groupVersion": format!("{name}/{version}"), "version": version}))
        .collect();
    let preferred = versions.first()?;
    Some(
        json!({"kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": versions, "preferredVersion": preferred}),
    )
}

fn resources(world: &World, group: &str, version: &str) -> Option<Value> {
    let mut found = Vec::new();
    for kind in served(world).filter(|kind| (kind.group, kind.version) == (group, version)) {
        let verbs = json!(["create", "delete", "get", "list", "patch", "update", "watch"]);
        let row = |name: String, verbs: Value| json!({"name": name, "singularName": "", "namespaced": kind.namespaced, "kind": kind.name, "verbs": verbs});
        found.push(row(kind.plural.to_owned(), verbs));
        if kind.has_status {
            found.push(row(
                format!("{}/status", kind.plural),
                json!(["get", "patch", "update"]),
            ));
        }
    }
    let version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    (!found.is_empty())
        .then(|| json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": found}))
}
