//! The mesh document that a proxy in a pod is started with.

use crate::fixtures;
use evenkeel_control_api::mesh;
use evenkeel_control_plane::inject::Outcome;
use serde_json::{Value, json};

/// The text of a pod's document as the proxy gets it.
pub(crate) fn text(pod: &Value) -> String {
    let containers =
        ["initContainers", "containers"].map(|list| pod["spec"][list].as_array().cloned().unwrap_or_default());
    let containers = containers.concat();
    let proxy = containers
        .iter()
        .find(|container| container["name"] == "evenkeel-proxy")
        .unwrap();
    let env = proxy["env"].as_array().unwrap();
    let value = |name: &str| {
        let variable = env.iter().find(|variable| variable["name"] == name).unwrap();
        variable["value"].as_str().unwrap().to_owned()
    };
    expanded(&value("EVENKEEL_CONFIG_INLINE"))
}

/// As the kubelet expands a value: `$$` is `$`, `$(NAME)` is a variable that stands before.
fn expanded(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let variable = [("(POD_NAME)", "web-7d4b-x2x"), ("(POD_NAMESPACE)", "shop"), ("$", "$")];
        let known = variable.iter().find(|(name, _)| after.starts_with(name));
        let (name, value) = known.unwrap_or(&("", "$"));
        out.push_str(value);
        rest = &after[name.len()..];
    }
    out + rest
}

/// The document as values.
pub(crate) fn of(pod: &Value) -> Value {
    serde_saphyr::from_str(&text(pod)).unwrap()
}

#[test]
fn the_proxy_takes_every_document() {
    for fixture in fixtures::all() {
        let Some(injected) = fixture.injected() else { continue };
        let text = text(&injected.pod);
        let parsed = mesh::parse(&text).unwrap_or_else(|faults| panic!("{}:\n{faults}\n{text}", fixture.name));
        assert!(parsed.settings().control_plane.is_some(), "{}", fixture.name);
    }
}

#[test]
fn the_document_says_who_the_pod_is_and_how_its_application_is_probed() {
    let injected = fixtures::named("every-probe").injected().unwrap();
    let document = of(&injected.pod);
    assert_eq!(document["control_plane"]["node"]["id"], "web-7d4b-x2x.shop");
    assert_eq!(document["control_plane"]["ca"], fixtures::CA);
    assert_eq!(document["control_plane"]["token"], "/var/run/secrets/evenkeel/token");
    assert_eq!(
        document["control_plane"]["startup"],
        json!({"wait": "10s", "then": "passthrough"})
    );
    let health = document["proxy"]["app_health"].as_array().unwrap();
    let of_path = |path: &str| health.iter().find(|health| health["path"] == path).unwrap();
    assert_eq!(
        *of_path("/app-health/web/liveness"),
        json!({
            "path": "/app-health/web/liveness",
            "timeout": "3s",
            "http": {
                "port": 8080, "path": "/live?deep=$(POD_NAME)&cost=$$5", "scheme": "http", "host": "web.example",
                "headers": [{"name": "X-Probe", "value": "$(POD_NAME).$(POD_NAMESPACE)"}],
            },
        })
    );
    let tcp = json!({"path": "/app-health/web/readiness", "timeout": "1s", "tcp": {"port": 9090}});
    assert_eq!(*of_path("/app-health/web/readiness"), tcp);
    let grpc = json!({"path": "/app-health/web/startup", "timeout": "5s", "grpc": {"port": 9090, "service": "shop"}});
    assert_eq!(*of_path("/app-health/web/startup"), grpc);
}

#[test]
fn what_a_probe_sends_is_not_taken_for_the_names_that_kubernetes_puts_in() {
    let mut probed = fixtures::named("every-probe");
    probed.settings = fixtures::named("telemetry").settings;
    let headers = json!([
        {"name": "X-Whole", "value": "$(POD_NAMESPACE)"},
        {"name": "X-Part", "value": "in $(POD_NAMESPACE) $(POD_NAME).$(POD_NAMESPACE)"},
        {"name": "X-Escaped", "value": "$$(POD_NAMESPACE)"},
    ]);
    probed.pod["spec"]["containers"][0]["livenessProbe"]["httpGet"]["httpHeaders"] = headers.clone();
    let injected = probed.injected().unwrap();
    let document = of(&injected.pod);
    assert_eq!(document["proxy"]["metrics"]["namespace"], "shop");
    assert_eq!(document["control_plane"]["node"]["id"], "web-7d4b-x2x.shop");
    let health = document["proxy"]["app_health"].as_array().unwrap();
    let liveness = health
        .iter()
        .find(|health| health["path"] == "/app-health/web/liveness");
    assert_eq!(liveness.unwrap()["http"]["headers"], headers);
    let Outcome::Injected(again) = probed.outcome_of(&injected.pod) else {
        panic!("{:?}", probed.outcome_of(&injected.pod));
    };
    assert_eq!(again.pod, injected.pod, "once more");
}

#[test]
fn a_native_sidecar_ends_with_the_application_and_another_within_the_pod_s_grace() {
    let drain = |name: &str| of(&fixtures::named(name).injected().unwrap().pod)["limits"]["drain"].clone();
    assert_eq!(drain("deployment"), json!({"least": "0s", "deadline": "30s"}));
    assert_eq!(drain("ordinary-container"), json!({"least": "5s", "deadline": "25s"}));
    assert_eq!(drain("ordinary-short-grace"), json!({"least": "3s", "deadline": "3s"}));
    let pod = fixtures::named("shutdown-grace").injected().unwrap().pod;
    assert_eq!(of(&pod)["limits"]["drain"]["deadline"], "90s");
    assert_eq!(pod["spec"]["terminationGracePeriodSeconds"], 92);
}
