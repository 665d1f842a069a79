//! What backends are.

use super::*;
use evenkeel_control_api::mesh::model::{Family, HttpAction, Routes, Target};

const GRANT: &str = "kind: ReferenceGrant\nmetadata: {name: g, namespace: accounts}\nspec:\n";

fn backend(reference: &str, grant: &str) -> (Target, String) {
    let route = format!(
        "kind: HTTPRoute\nmetadata: {{name: r, namespace: shop}}\nspec:\n  parentRefs: [{{group: '', kind: Service, name: web, port: 80}}]\n  rules: [{{backendRefs: [{reference}]}}]\n"
    );
    let (service, found) = attached(&world(&format!("{route}---\n{grant}")), &web());
    let Routes::Http(rules) = &service.ports[0].routes else {
        panic!()
    };
    let HttpAction::Forward(forward) = &rules[0].action else {
        panic!()
    };
    (forward.backends[0].target.clone(), said(&found)[1].clone())
}

#[test]
fn a_backend_that_is_not_there_keeps_its_share() {
    for (reference, reason) in [
        (
            "{name: gone, port: 80}",
            "BackendNotFound: spec.rules[0].backendRefs[0]: there is no Service shop/gone",
        ),
        (
            "{name: web-v2, port: 81}",
            "BackendNotFound: spec.rules[0].backendRefs[0]: the Service shop/web-v2 has no TCP port 81",
        ),
        (
            "{name: web-v2}",
            "BackendNotFound: spec.rules[0].backendRefs[0]: port is missing",
        ),
        (
            "{name: outside, port: 80}",
            "InvalidKind: spec.rules[0].backendRefs[0]: the Service shop/outside is an ExternalName",
        ),
        (
            "{kind: Bucket, group: example.com, name: b, port: 80}",
            "InvalidKind: spec.rules[0].backendRefs[0]: only Services can be backends, not Bucket of \"example.com\"",
        ),
        (
            "{name: auth, namespace: accounts, port: 80}",
            "RefNotPermitted: spec.rules[0].backendRefs[0]: no ReferenceGrant in the namespace accounts permits it",
        ),
        (
            "{name: gone, namespace: accounts, port: 80}",
            "RefNotPermitted: spec.rules[0].backendRefs[0]: no ReferenceGrant in the namespace accounts permits it",
        ),
    ] {
        let (target, said) = backend(reference, "");
        assert_eq!(target, Target::Missing, "{reference}");
        assert_eq!(said, format!("r ResolvedRefs=False/{reason}"));
    }
}

#[test]
fn a_backend_is_a_port_of_a_service() {
    for (reference, name) in [
        ("{name: web-v2, port: 80}", "web-v2.shop.svc.cluster.local"),
        (
            "{name: web, port: 80, kind: Service, group: ''}",
            "web.shop.svc.cluster.local",
        ),
        ("{name: nobody, port: 80}", "nobody.shop.svc.cluster.local"),
    ] {
        let (target, said) = backend(reference, "");
        let port = 80.try_into().unwrap();
        assert_eq!(
            target,
            Target::Port {
                service: name.to_owned(),
                port,
                apart: None,
            }
        );
        assert_eq!(said, "r ResolvedRefs=True/ResolvedRefs");
    }
}

#[test]
fn a_backend_with_addresses_of_both_families_serves_the_second_apart() {
    let two = "kind: Service\nmetadata: {name: two, namespace: shop}\nspec: {clusterIPs: ['fd00::7', 10.96.0.7], ports: [{port: 80}]}\n";
    let (target, _) = backend("{name: two, port: 80}", two);
    let service = "two.shop.svc.cluster.local".to_owned();
    let (port, apart) = (80.try_into().unwrap(), Some(Family::V4));
    assert_eq!(target, Target::Port { service, port, apart });
}

#[test]
fn a_grant_permits_what_it_names_and_nothing_else() {
    let from = "  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}]\n";
    for (rest, permitted) in [
        ("  to: [{group: '', kind: Service}]\n", true),
        ("  to: [{group: '', kind: Service, name: auth}]\n", true),
        ("  to: [{group: '', kind: Service, name: other}]\n", false),
        ("  to: [{group: '', kind: Secret}]\n", false),
        ("  to: [{group: example.com, kind: Service}]\n", false),
        ("  to: [{group: '', kind: Service, name: 7}]\n", false),
        ("  to: [{group: '', kind: Service, selector: {}}]\n", false),
        ("  to: []\n", false),
    ] {
        let (target, _) = backend(
            "{name: auth, namespace: accounts, port: 80}",
            &format!("{GRANT}{from}{rest}"),
        );
        assert_eq!(target != Target::Missing, permitted, "{rest}");
    }
    let to = "  to: [{group: '', kind: Service}]\n";
    for from in [
        "{group: gateway.networking.k8s.io, kind: GRPCRoute, namespace: shop}",
        "{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: other}",
        "{group: '', kind: HTTPRoute, namespace: shop}",
    ] {
        let grant = format!("{GRANT}  from: [{from}]\n{to}");
        let (target, _) = backend("{name: auth, namespace: accounts, port: 80}", &grant);
        assert_eq!(target, Target::Missing, "{from}");
    }
}

#[test]
fn a_change_of_a_grant_or_a_backend_touches_the_service_of_the_route() {
    let route = "kind: HTTPRoute\nmetadata: {name: r, namespace: shop}\nspec:\n  parentRefs: [{group: '', kind: Service, name: web}]\n  rules: [{backendRefs: [{name: auth, namespace: accounts, port: 80}]}]\n";
    let mut world = world(route);
    let mut touched = |yaml: &str| {
        let value: Value = serde_saphyr::from_str(yaml).unwrap();
        let (kind, key, kept) = kept(&value);
        world.apply(Event::Applied(kind, key, kept)).configuration
    };
    let grant = format!("{GRANT}  from: []\n  to: []\n");
    assert_eq!(touched(&grant), [web()].into());
    let auth = |address: &str| {
        format!(
            "kind: Service\nmetadata: {{name: auth, namespace: accounts}}\nspec: {{{address}, ports: [{{port: 80}}]}}"
        )
    };
    let named = touched(&auth("type: ExternalName, externalName: example.com"));
    assert!(named.contains(&web()), "{named:?}");
    assert!(!touched(&auth("type: ExternalName, externalName: example.org")).contains(&web()));
    assert!(touched(&auth("clusterIPs: [10.96.0.7]")).contains(&web()));
    assert!(!touched(&auth("clusterIPs: [10.96.0.8]")).contains(&web()));
    assert!(touched(&auth("clusterIPs: [10.96.0.8, 'fd00::8']")).contains(&web()));
}
