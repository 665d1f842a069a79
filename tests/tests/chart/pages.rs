//! The table of the chart's README is `values.yaml`; the schema has the same keys; the notes say what to do next.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Context;
use anyhow::Result;
use evenkeel_tests::helm;
use serde_json::Value;
use serde_json::json;

/// Every key that has a value, such as `image.tag`, with its default as JSON. A mapping is taken apart unless it is empty.
fn defaults() -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    flatten(&helm::file("values.yaml")?, "", &mut found);
    Ok(found)
}

fn flatten(value: &Value, path: &str, found: &mut BTreeMap<String, String>) {
    match value.as_object().filter(|map| !map.is_empty()) {
        Some(map) => {
            for (key, value) in map {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                flatten(value, &path, found);
            }
        }
        None => {
            found.insert(path.to_owned(), value.to_string());
        }
    }
}

#[test]
fn the_table_of_the_readme_is_values_yaml() -> Result<()> {
    let readme = fs::read_to_string(helm::chart().join("README.md"))?;
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| `"));
    let told: BTreeMap<String, String> = rows
        .map(|row| {
            let (key, rest) = row.split_once("` | `").with_context(|| row.to_owned())?;
            let (default, meaning) = rest.split_once("` | ").with_context(|| row.to_owned())?;
            assert!(meaning.len() > 5, "{row}");
            Ok((key.to_owned(), default.to_owned()))
        })
        .collect::<Result<_>>()?;
    assert_eq!(told, defaults()?);
    Ok(())
}

#[test]
fn the_schema_knows_exactly_the_keys_of_values_yaml() -> Result<()> {
    let schema = helm::file("values.schema.json")?;
    let values = helm::file("values.yaml")?;
    let mut wrong = Vec::new();
    compare(&schema, &values, &schema, "", &mut wrong);
    // Helm itself adds it to every chart's values.
    assert_eq!(wrong, [".global is not in values.yaml"]);
    Ok(())
}

fn compare(schema: &Value, value: &Value, root: &Value, path: &str, wrong: &mut Vec<String>) {
    let reference = schema["$ref"]
        .as_str()
        .and_then(|reference| reference.strip_prefix('#'));
    let schema = reference.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema);
    let (Some(properties), Some(map)) = (schema["properties"].as_object(), value.as_object()) else {
        return;
    };
    if schema["additionalProperties"] != false {
        wrong.push(format!("{path} takes anything"));
    }
    for (key, schema) in properties {
        match map.get(key) {
            Some(value) => compare(schema, value, root, &format!("{path}.{key}"), wrong),
            // An issuer has no default, so its keys have none.
            None if path == ".certificates.issuerRef" => {}
            None => wrong.push(format!("{path}.{key} is not in values.yaml")),
        }
    }
    for key in map.keys().filter(|key| !properties.contains_key(*key)) {
        wrong.push(format!("{path}.{key} is not in the schema"));
    }
}

#[test]
fn the_notes_say_what_to_do_next_and_what_is_not_as_it_should_be() -> Result<()> {
    let usual = helm::notes(&json!({"image": {"registry": "registry.example"}}))?;
    for command in [
        "kubectl label namespace NAMESPACE evenkeel.io/injection=enabled",
        "kubectl --namespace NAMESPACE rollout restart deployment",
        "helm --namespace evenkeel-system test evenkeel",
        "get pods --selector evenkeel.io/injected=true",
        "port-forward POD 15000",
    ] {
        assert!(usual.contains(command), "{usual}");
    }
    let warnings = [
        "is Ignore",
        "image.registry is empty",
        "There is one replica",
        "from-vault",
    ];
    let values = json!({"replicas": 1, "webhook": {"failurePolicy": "Ignore"}, "certificates": crate::matrix::given()});
    let unusual = helm::notes(&values)?;
    for warning in warnings {
        assert!(
            unusual.contains(warning) && !usual.contains(warning),
            "{warning}: {unusual}"
        );
    }
    Ok(())
}

#[test]
fn the_chart_has_the_version_of_the_programs() -> Result<()> {
    let chart = helm::file("Chart.yaml")?;
    for key in ["version", "appVersion"] {
        assert_eq!(chart[key], env!("CARGO_PKG_VERSION"), "{key}");
    }
    Ok(())
}
