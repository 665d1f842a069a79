use super::*;
use evenkeel_control_api::mesh::model::Protocol;
use std::num::NonZeroU16;

fn annotations(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let own = |(name, value): &(&str, &str)| (format!("evenkeel.io/{name}"), (*value).to_owned());
    pairs.iter().map(own).collect()
}

fn refused(name: &str, value: &str) -> String {
    let faults = read(&annotations(&[(name, value)])).unwrap_err();
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults[0].to_string()
}

#[test]
fn every_bad_value_is_refused_with_the_name_of_its_annotation() {
    let bad = [
        ("include-inbound-ports", "80,,90"),
        ("exclude-inbound-ports", "http"),
        ("include-outbound-ports", "0"),
        ("exclude-outbound-ports", "90-80"),
        ("include-outbound-cidrs", "10.0.0.0/33"),
        ("exclude-outbound-cidrs", "10.1.2.3/8"),
        ("opaque-ports", "80-90"),
        ("protocol", "80"),
        ("log-level", "loud"),
        ("access-log", "yaml"),
        ("workers", "0"),
        ("shutdown-grace", "30"),
        ("native-sidecar", "yes"),
        ("proxy-image", "a b"),
        ("init-image", ""),
        ("cpu-request", "much"),
        ("cpu-limit", "-1"),
        ("memory-request", "64 MB"),
        ("memory-limit", "1e9"),
        ("extra-env", "A"),
        ("force-inject", "1"),
    ];
    assert_eq!(bad.map(|(name, _)| name), KEYS);
    for (name, value) in bad {
        let fault = refused(name, value);
        let place = format!("metadata.annotations[\"evenkeel.io/{name}\"]: ");
        assert!(fault.starts_with(&place), "{fault}");
    }
}

#[test]
fn an_annotation_that_nobody_knows_is_refused() {
    assert!(refused("opaque-port", "80").ends_with("did you mean \"opaque-ports\"?"));
    let others = BTreeMap::from([("example.com/opaque-port".to_owned(), "80".to_owned())]);
    assert_eq!(read(&others), Ok(Wishes::default()));
}

#[test]
fn includes_replace_the_settings_and_excludes_add_to_them() {
    let mut settings = Settings::default();
    settings.redirection.include_inbound_ports = vec!["1".to_owned()];
    settings.redirection.exclude_inbound_ports = vec!["2".to_owned()];
    let wishes = read(&annotations(&[
        ("include-inbound-ports", ""),
        ("exclude-inbound-ports", "3, 4-5"),
    ]));
    let applied = wishes.unwrap().applied(&settings).unwrap();
    assert!(applied.redirection.include_inbound_ports.is_empty());
    assert_eq!(applied.redirection.exclude_inbound_ports, ["2", "3", "4-5"]);
}

#[test]
fn a_request_above_its_limit_names_the_annotation() {
    let wishes = read(&annotations(&[("memory-request", "1Gi")])).unwrap();
    let fault = wishes.applied(&Settings::default()).unwrap_err();
    assert!(fault.path.contains("memory-request"), "{fault}");
}

#[test]
fn ports_are_declared_once() {
    let read = |pairs: &[(&str, &str)]| inbound(&annotations(pairs));
    let found = read(&[("opaque-ports", "3306"), ("protocol", "8080=http2, *=tcp")]).unwrap();
    assert_eq!(found.default, Some(Protocol::Tcp));
    assert_eq!(found.ports[&NonZeroU16::new(3306).unwrap()], Protocol::Tcp);
    assert_eq!(found.ports[&NonZeroU16::new(8080).unwrap()], Protocol::Http2);
    assert!(read(&[("opaque-ports", "80,80"), ("protocol", "80=tcp")]).is_ok());
    let faults = read(&[("opaque-ports", "80"), ("protocol", "80=http,*=tls,*=tcp,81=quic")]).unwrap_err();
    assert_eq!(faults.0.len(), 3, "{faults}");
    let many: Vec<String> = (1..=65).map(|port| port.to_string()).collect();
    assert!(read(&[("opaque-ports", &many.join(","))]).is_err());
}

#[test]
fn the_page_has_every_annotation() {
    let page = include_str!("../../../../docs/kubernetes.md");
    let (_, section) = page.split_once("### Annotations").unwrap();
    let (table, _) = section.split_once("### ").unwrap();
    for key in KEYS {
        assert!(table.contains(&format!("`{key}`")), "{key}");
    }
}
