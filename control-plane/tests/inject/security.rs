//! What Pod Security "restricted" asks of a container, and what the two of ours are.

use crate::fixtures;
use serde_json::{Value, json};

fn ours(pod: &Value, name: &str) -> Value {
    let lists = ["initContainers", "containers"].map(|list| pod["spec"][list].as_array().cloned().unwrap_or_default());
    lists
        .concat()
        .into_iter()
        .find(|container| container["name"] == name)
        .unwrap()
}

#[test]
fn the_proxy_satisfies_restricted_in_every_pod() {
    for fixture in fixtures::all() {
        let Some(injected) = fixture.injected() else { continue };
        let proxy = ours(&injected.pod, "evenkeel-proxy");
        let context = json!({
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "privileged": false,
            "readOnlyRootFilesystem": true,
            "runAsGroup": 1337,
            "runAsNonRoot": true,
            "runAsUser": 1337,
            "seccompProfile": {"type": "RuntimeDefault"},
        });
        assert_eq!(proxy["securityContext"], context, "{}", fixture.name);
    }
}

#[test]
fn the_init_container_has_two_capabilities_and_a_root_that_is_read_only() {
    for fixture in fixtures::all() {
        let Some(injected) = fixture.injected() else { continue };
        let init = ours(&injected.pod, "evenkeel-init");
        let context = json!({
            "allowPrivilegeEscalation": false,
            "capabilities": {"add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"]},
            "privileged": false,
            "readOnlyRootFilesystem": true,
            "runAsGroup": 0,
            "runAsNonRoot": false,
            "runAsUser": 0,
            "seccompProfile": {"type": "RuntimeDefault"},
        });
        assert_eq!(init["securityContext"], context, "{}", fixture.name);
        let lock = json!([{"name": "XTABLES_LOCKFILE", "value": "/dev/shm/evenkeel-xtables.lock"}]);
        assert_eq!(init["env"], lock, "{}", fixture.name);
    }
}

#[test]
fn evenkeel_init_takes_the_flags_of_every_pod() {
    use clap::Parser;
    use evenkeel_init::options::{Cli, Command};
    for fixture in fixtures::all() {
        let Some(injected) = fixture.injected() else { continue };
        let command: Vec<String> =
            serde_json::from_value(ours(&injected.pod, "evenkeel-init")["command"].clone()).unwrap();
        let Command::Install { plan, .. } = Cli::try_parse_from(&command).unwrap().command else {
            panic!("{command:?}")
        };
        assert!(plan.check().is_ok(), "{}: {command:?}", fixture.name);
    }
}
