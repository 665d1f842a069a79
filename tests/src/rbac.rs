//! What the chart lets the control plane do, decided as an API server decides it.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use crate::kubernetes::Request;

/// What everybody may ask, as the roles `system:discovery` and `system:public-info-viewer` say.
const DISCOVERY: [&str; 4] = ["/version", "/api", "/apis", "/openapi"];

/// The rules of an account, each taken apart into single rights.
#[derive(Debug, Clone)]
pub struct Rights {
    grants: BTreeSet<Grant>,
}

/// One right: one verb on one resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// Where it holds; everywhere where a `ClusterRole` gives it.
    namespace: Option<String>,
    group: String,
    resource: String,
    /// The one object that it is about, where it is about one.
    name: Option<String>,
    verb: String,
}

// === impl Rights ===

impl Rights {
    /// Of the roles among these objects.
    pub fn of(objects: &[Value]) -> Self {
        let roles = objects
            .iter()
            .filter(|object| object["kind"] == "ClusterRole" || object["kind"] == "Role");
        Self {
            grants: roles.flat_map(grants).collect(),
        }
    }

    /// All of them.
    pub fn grants(&self) -> &BTreeSet<Grant> {
        &self.grants
    }

    /// Whether all objects of this resource, such as `services`, may be read with this verb.
    pub fn allow_everywhere(&self, verb: &str, group: &str, resource: &str) -> bool {
        self.grants.iter().any(|grant| {
            grant.namespace.is_none() && grant.name.is_none() && grant.is_about(verb, group, resource, None)
        })
    }

    /// Whether this request would be served.
    pub fn allow(&self, request: &Request) -> bool {
        let page = request.resource.as_str();
        let is_below = |root: &&str| page == *root || page.starts_with(&format!("{root}/"));
        let discovers = request.verb == "get" && DISCOVERY.iter().any(is_below);
        discovers || self.serving(request).next().is_some()
    }

    /// The rights by which this request would be served.
    pub fn serving<'a>(&'a self, request: &'a Request) -> impl Iterator<Item = &'a Grant> {
        // A list or a watch of one object is a request for that object.
        let selected = request
            .query
            .split('&')
            .find_map(|pair| pair.strip_prefix("fieldSelector=metadata.name%3D"));
        let name = request.name.as_deref().or(selected);
        self.grants.iter().filter(move |grant| {
            let there = grant.namespace.is_none() || grant.namespace == request.namespace;
            there && grant.is_about(request.verb, &request.group, &request.resource, name)
        })
    }
}

// === impl Grant ===

impl Grant {
    fn is_about(&self, verb: &str, group: &str, resource: &str, name: Option<&str>) -> bool {
        let is = |granted: &str, asked: &str| granted == "*" || granted == asked;
        is(&self.verb, verb)
            && is(&self.group, group)
            && is(&self.resource, resource)
            && (self.name.is_none() || self.name.as_deref() == name)
    }
}

impl fmt::Display for Grant {
    /// Such as `update secrets/evenkeel-control-tls in evenkeel-system`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(formatter, ".{}", self.group)?;
        }
        if let Some(name) = &self.name {
            write!(formatter, " {name}")?;
        }
        match &self.namespace {
            Some(namespace) => write!(formatter, " in {namespace}"),
            None => Ok(()),
        }
    }
}

// === helpers ===

fn grants(role: &Value) -> Vec<Grant> {
    let namespace = role["metadata"]["namespace"].as_str();
    let rules = role["rules"].as_array().into_iter().flatten();
    let mut grants = Vec::new();
    for rule in rules {
        let names = match words(&rule["resourceNames"]) {
            names if names.is_empty() => vec![None],
            names => names.into_iter().map(Some).collect(),
        };
        for group in words(&rule["apiGroups"]) {
            for resource in words(&rule["resources"]) {
                for name in &names {
                    grants.extend(words(&rule["verbs"]).into_iter().map(|verb| Grant {
                        namespace: namespace.map(str::to_owned),
                        group: group.clone(),
                        resource: resource.clone(),
                        name: name.clone(),
                        verb,
                    }));
                }
            }
        }
    }
    grants
}

fn words(list: &Value) -> Vec<String> {
    let words = list.as_array().into_iter().flatten();
    words.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rights() -> Rights {
        let rule = |group: &str, resource: &str, verbs: &[&str]| json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
        let mut named = rule("", "secrets", &["list", "update"]);
        named["resourceNames"] = json!(["ours"]);
        Rights::of(&[
            json!({"kind": "ClusterRole", "metadata": {"name": "a"}, "rules": [rule("events.k8s.io", "events", &["create"])]}),
            json!({"kind": "Role", "metadata": {"name": "a", "namespace": "system"}, "rules": [
                named, rule("", "secrets", &["create"]),
            ]}),
        ])
    }

    fn request(verb: &'static str, group: &str, resource: &str, namespace: &str, name: Option<&str>) -> Request {
        Request {
            verb,
            group: group.to_owned(),
            resource: resource.to_owned(),
            namespace: Some(namespace.to_owned()),
            name: name.map(str::to_owned),
            query: String::new(),
            who: None,
            body: Value::Null,
            code: None,
        }
    }

    #[test]
    fn a_request_is_served_by_a_right_of_its_group_its_place_and_its_name() {
        let rights = rights();
        for (verb, group, resource, namespace, name, served) in [
            ("create", "events.k8s.io", "events", "shop", None, true),
            ("create", "", "events", "shop", None, false),
            ("update", "", "secrets", "system", Some("ours"), true),
            ("update", "", "secrets", "system", Some("another"), false),
            ("update", "", "secrets", "shop", Some("ours"), false),
            ("create", "", "secrets", "system", None, true),
            ("list", "", "secrets", "system", None, false),
            ("get", "", "/version", "", None, true),
            ("get", "", "/metrics", "", None, false),
        ] {
            let request = request(verb, group, resource, namespace, name);
            assert_eq!(rights.allow(&request), served, "{request:?}");
        }
        let mut selected = request("list", "", "secrets", "system", None);
        selected.query = "limit=500&fieldSelector=metadata.name%3Dours".to_owned();
        assert!(rights.allow(&selected));
    }

    #[test]
    fn a_right_is_told_in_words() {
        let told: Vec<_> = rights().grants().iter().map(Grant::to_string).collect();
        assert_eq!(
            told,
            [
                "create events.events.k8s.io",
                "create secrets in system",
                "list secrets ours in system",
                "update secrets ours in system",
            ]
        );
    }
}
