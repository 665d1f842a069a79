//! The definition in the chart is the one of the types.

use super::*;
use kube::CustomResourceExt;
use std::path::PathBuf;

const HEAD: &str = "# Generated from the types in control-plane/src/kubernetes/objects/policy/resource.rs; a test holds both equal:\n\
                    # cargo test -p evenkeel-control-plane --lib the_definition_is_written_anew -- --ignored\n";

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../charts/evenkeel/crds/trafficpolicies.yaml")
}

fn generated() -> String {
    let yaml = serde_saphyr::to_string(&TrafficPolicy::crd()).unwrap();
    format!("{HEAD}{yaml}")
}

#[test]
fn the_definition_of_the_chart_is_that_of_the_types() {
    let written = std::fs::read_to_string(file()).unwrap();
    assert!(
        written == generated(),
        "run the ignored test the_definition_is_written_anew"
    );
}

#[test]
#[ignore = "writes the file anew"]
fn the_definition_is_written_anew() {
    std::fs::create_dir_all(file().parent().unwrap()).unwrap();
    std::fs::write(file(), generated()).unwrap();
}

#[test]
fn the_definition_can_be_read_and_checks_what_users_write() {
    let read: Value = serde_saphyr::from_str(&std::fs::read_to_string(file()).unwrap()).unwrap();
    assert_eq!(read, serde_json::to_value(TrafficPolicy::crd()).unwrap());
    assert_eq!(read["spec"]["names"]["shortNames"], json!(["tp"]));
    let version = &read["spec"]["versions"][0];
    assert_eq!(version["subresources"], json!({"status": {}}));
    let columns: Vec<_> = version["additionalPrinterColumns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["name"])
        .collect();
    assert_eq!(columns, ["Targets", "Algorithm", "Accepted", "Age"]);
    let spec = &version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    assert_eq!(
        spec["balancer"]["properties"]["algorithm"]["enum"],
        json!(["peak_ewma", "least_request", "round_robin", "random"])
    );
    assert_eq!(
        spec["targetRefs"]["items"]["properties"]["kind"]["enum"],
        json!(["Service"])
    );
    assert_eq!(spec["targetRefs"]["maxItems"], 16);
    assert_eq!(
        spec["limits"]["properties"]["headerBytes"]["multipleOf"].as_f64(),
        Some(1024.0)
    );
    assert!(spec["balancer"]["x-kubernetes-validations"][0]["rule"].is_string());
    assert!(spec["targetRefs"]["x-kubernetes-validations"][0]["rule"].is_string());
}

#[test]
fn the_definition_is_structural() {
    let definition = serde_json::to_value(TrafficPolicy::crd()).unwrap();
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut pending = vec![(String::new(), schema)];
    let mut seen = 0;
    while let Some((path, schema)) = pending.pop() {
        seen += 1;
        assert!(schema["type"].is_string(), "{path} has no type: {schema}");
        for forbidden in ["anyOf", "oneOf", "allOf", "$ref", "additionalProperties", "const"] {
            assert!(schema.get(forbidden).is_none(), "{path} has {forbidden}");
        }
        for (name, inside) in schema["properties"].as_object().into_iter().flatten() {
            pending.push((format!("{path}.{name}"), inside));
        }
        pending.extend(schema.get("items").map(|inside| (format!("{path}[]"), inside)));
    }
    assert!(seen > 40, "only {seen}");
}
