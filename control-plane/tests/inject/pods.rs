//! What holds for every fixture.

use crate::admissible;
use crate::fixtures::{self, Fixture};
use evenkeel_control_plane::inject::Outcome;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

fn injected() -> impl Iterator<Item = (Fixture, Value)> {
    fixtures::all().into_iter().filter_map(|fixture| {
        let injected = fixture.injected()?;
        Some((fixture, injected.pod))
    })
}

#[test]
fn every_injected_pod_is_one_that_an_api_server_takes() {
    let mut count = 0;
    for (fixture, pod) in injected() {
        let before: Pod = serde_json::from_value(fixture.pod.clone()).unwrap();
        assert_eq!(
            admissible::faults(&before),
            Vec::<String>::new(),
            "{} as it is given",
            fixture.name
        );
        let pod: Pod = serde_json::from_value(pod).unwrap();
        assert_eq!(admissible::faults(&pod), Vec::<String>::new(), "{}", fixture.name);
        count += 1;
    }
    assert!(count >= 15, "{count}");
}

#[test]
fn the_patch_leads_to_the_pod() {
    for fixture in fixtures::all() {
        let Some(injected) = fixture.injected() else { continue };
        let mut pod = fixture.pod.clone();
        json_patch::patch(&mut pod, &injected.patch).unwrap();
        assert_eq!(pod, injected.pod, "{}", fixture.name);
    }
}

#[test]
fn a_second_injection_changes_nothing() {
    for (fixture, pod) in injected() {
        let Outcome::Injected(again) = fixture.outcome_of(&pod) else {
            panic!("{}: {:?}", fixture.name, fixture.outcome_of(&pod))
        };
        assert_eq!(again.patch.0, [], "{}", fixture.name);
    }
}

#[test]
fn what_an_api_server_fills_in_is_left_alone_when_a_pod_comes_again() {
    for (fixture, mut pod) in injected() {
        default_fields(&mut pod);
        let Outcome::Injected(again) = fixture.outcome_of(&pod) else {
            panic!("{}", fixture.name)
        };
        assert_eq!(again.patch.0, [], "{}", fixture.name);
    }
}

/// As the API server and its plugins do after each webhook.
fn default_fields(pod: &mut Value) {
    for list in ["initContainers", "containers"] {
        for container in pod["spec"][list].as_array_mut().into_iter().flatten() {
            container["terminationMessagePath"] = "/dev/termination-log".into();
            container["terminationMessagePolicy"] = "File".into();
            if container["imagePullPolicy"].is_null() {
                container["imagePullPolicy"] = "IfNotPresent".into();
            }
            let mount =
                json!({"name": "kube-api-access-x", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"});
            match container["volumeMounts"].as_array_mut() {
                Some(mounts) => mounts.push(mount),
                None => container["volumeMounts"] = json!([mount]),
            }
            for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
                if let Some(probe) = container[probe].as_object_mut() {
                    for (key, value) in [
                        ("timeoutSeconds", 1),
                        ("periodSeconds", 10),
                        ("successThreshold", 1),
                        ("failureThreshold", 3),
                    ] {
                        probe.entry(key).or_insert(value.into());
                    }
                }
            }
        }
    }
    pod["spec"]["dnsPolicy"] = pod["spec"]["dnsPolicy"].as_str().unwrap_or("ClusterFirst").into();
    pod["spec"]["tolerations"] = json!([{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}]);
}

#[test]
fn a_container_that_somebody_adds_later_is_probed_through_the_proxy_as_well() {
    let fixture = fixtures::named("deployment");
    let mut pod = fixture.injected().unwrap().pod;
    let late = json!({"name": "late", "image": "late", "livenessProbe": {"tcpSocket": {"port": 7000}}});
    pod["spec"]["containers"].as_array_mut().unwrap().insert(0, late);
    let Outcome::Injected(again) = fixture.outcome_of(&pod) else {
        panic!("it is injected again")
    };
    let health = |pod: &Value| {
        crate::documents::of(pod)["proxy"]["app_health"]
            .as_array()
            .unwrap()
            .clone()
    };
    let (before, after) = (health(&pod), health(&again.pod));
    assert_eq!(after.len(), before.len() + 1);
    assert!(before.iter().all(|known| after.contains(known)), "{after:#?}");
    let path = &again.pod["spec"]["containers"][0]["livenessProbe"]["httpGet"]["path"];
    assert_eq!(path, "/app-health/late/liveness");
    assert!(
        after
            .iter()
            .any(|health| health["path"] == *path && health["tcp"]["port"] == 7000)
    );
}

#[test]
fn a_field_of_a_later_version_of_kubernetes_survives_where_it_was() {
    let mut fixture = fixtures::named("deployment");
    fixture.cluster.native_sidecars = false;
    fixture.pod["spec"]["containers"][0]["fieldOfTomorrow"] = json!({"a": [1]});
    fixture.pod["spec"]["podFieldOfTomorrow"] = 7.into();
    let injected = fixture.injected().unwrap();
    let mut patched = fixture.pod.clone();
    json_patch::patch(&mut patched, &injected.patch).unwrap();
    assert_eq!(patched["spec"]["containers"][0]["name"], "evenkeel-proxy");
    assert_eq!(patched["spec"]["containers"][0].get("fieldOfTomorrow"), None);
    assert_eq!(patched["spec"]["containers"][1]["fieldOfTomorrow"], json!({"a": [1]}));
    assert_eq!(patched["spec"]["podFieldOfTomorrow"], 7);
}

#[test]
fn a_probe_that_asks_for_the_proxy_s_own_pages_without_a_record_is_refused() {
    let mut fixture = fixtures::named("deployment");
    let probe = json!({"httpGet": {"path": "/app-health/web/liveness", "port": 15020}});
    fixture.pod["spec"]["containers"][0]["livenessProbe"] = probe;
    let Outcome::Refused(faults) = fixture.outcome() else {
        panic!("it is refused")
    };
    assert!(
        faults.to_string().contains("nothing says what was probed before"),
        "{faults}"
    );
}

#[test]
fn what_is_no_pod_is_refused_in_a_sentence() {
    let fixture = fixtures::named("deployment");
    for pod in [
        json!(null),
        json!([]),
        json!({}),
        json!({"metadata": {}, "spec": {}}),
        json!({"spec": {"containers": "many"}}),
        json!({"spec": {"containers": [{"image": "nameless", "ports": [{"containerPort": "http"}]}]}}),
        json!({"kind": "Service", "apiVersion": "v1", "spec": {}}),
    ] {
        let Outcome::Refused(faults) = fixture.outcome_of(&pod) else {
            panic!("{pod}")
        };
        assert!(faults.to_string().starts_with("not a Pod: "), "{faults}");
    }
}
