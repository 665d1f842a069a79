//! What the chart lets the control plane do, decided as an API server decides it.

use serde_json::Value;

use crate::kubernetes::Request;

/// The rules of an account.
#[derive(Debug)]
pub struct Rights {
    everywhere: Vec<Value>,
    /// The namespace of the Role, and its rules.
    somewhere: Vec<(String, Vec<Value>)>,
}

// === impl Rights ===

impl Rights {
    /// Of the roles among these objects.
    pub fn of(objects: &[Value]) -> Self {
        let of_kind = |kind: &'static str| objects.iter().filter(move |object| object["kind"] == kind);
        let rules = |role: &Value| role["rules"].as_array().cloned().unwrap_or_default();
        let somewhere = |role: &Value| Some((role["metadata"]["namespace"].as_str()?.to_owned(), rules(role)));
        Self {
            everywhere: of_kind("ClusterRole").flat_map(rules).collect(),
            somewhere: of_kind("Role").filter_map(somewhere).collect(),
        }
    }

    /// Whether all objects of this resource, such as `services`, may be read with this verb.
    pub fn allow_everywhere(&self, verb: &str, group: &str, resource: &str) -> bool {
        let of_group = |rule: &&Value| has(&rule["apiGroups"], group);
        self.everywhere
            .iter()
            .filter(of_group)
            .any(|rule| allows(rule, verb, resource, None))
    }

    /// Whether this request would be served.
    pub fn allow(&self, request: &Request) -> bool {
        // A list or a watch of one object is a request for that object.
        let selected = request
            .query
            .split('&')
            .find_map(|pair| pair.strip_prefix("fieldSelector=metadata.name%3D"));
        let name = request.name.as_deref().or(selected);
        let there = self
            .somewhere
            .iter()
            .filter(|(namespace, _)| Some(namespace) == request.namespace.as_ref());
        let rules = self.everywhere.iter().chain(there.flat_map(|(_, rules)| rules));
        rules
            .into_iter()
            .any(|rule| allows(rule, request.verb, &request.resource, name))
    }
}

fn allows(rule: &Value, verb: &str, resource: &str, name: Option<&str>) -> bool {
    let names = &rule["resourceNames"];
    has(&rule["verbs"], verb)
        && has(&rule["resources"], resource)
        && (names.is_null() || name.is_some_and(|name| has(names, name)))
}

fn has(words: &Value, word: &str) -> bool {
    words
        .as_array()
        .is_some_and(|words| words.iter().any(|found| found == word))
}
