//! Where routes are in force.

use super::*;
use evenkeel_control_api::mesh::model::Routes;

fn route(kind: &str, name: &str, parent: &str, rules: &str) -> String {
    format!(
        "kind: {kind}\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  parentRefs: [{{group: '', kind: Service, {parent}}}]\n  rules: {rules}\n"
    )
}

const TO_V2: &str = "[{backendRefs: [{name: web-v2, port: 80}]}]";

fn verdicts(yaml: &str, service: &str) -> Vec<String> {
    let (_, found) = attached(&world(yaml), &Key::new("shop", service));
    said(&found)
}

fn rule_names(service: &model::Service, port: usize) -> Vec<String> {
    match &service.ports[port].routes {
        Routes::Http(rules) => rules.iter().map(|rule| rule.name.clone()).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_route_is_accepted_or_says_why_not() {
    let in_force = ["r Accepted=True/Accepted", "r ResolvedRefs=True/ResolvedRefs"];
    for (kind, service, parent) in [
        ("HTTPRoute", "web", "name: web"),
        ("HTTPRoute", "web", "name: web, port: 80"),
        ("HTTPRoute", "web", "name: web, sectionName: http"),
        ("HTTPRoute", "web", "name: web, sectionName: http, port: 80"),
        ("HTTPRoute", "web", "name: web, namespace: shop"),
        ("GRPCRoute", "web", "name: web"),
        ("TLSRoute", "web", "name: web, port: 8080"),
        ("TCPRoute", "db", "name: db"),
    ] {
        assert_eq!(
            verdicts(&route(kind, "r", parent, TO_V2), service),
            in_force,
            "{kind} {parent}"
        );
    }
    for (kind, service, parent, expected) in [
        (
            "HTTPRoute",
            "web",
            "name: web, port: 81",
            "NoMatchingParent: the Service shop/web has no such TCP port",
        ),
        (
            "HTTPRoute",
            "web",
            "name: web, sectionName: grpc",
            "NoMatchingParent: the Service shop/web has no such TCP port",
        ),
        (
            "HTTPRoute",
            "web",
            "name: web, sectionName: http, port: 8080",
            "NoMatchingParent: the Service shop/web has no such TCP port",
        ),
        (
            "HTTPRoute",
            "gone",
            "name: gone",
            "NoMatchingParent: there is no Service shop/gone",
        ),
        (
            "HTTPRoute",
            "nobody",
            "name: nobody",
            "UnsupportedValue: the Service shop/nobody is headless: it has no address for routes",
        ),
        (
            "HTTPRoute",
            "outside",
            "name: outside",
            "UnsupportedValue: the Service shop/outside is an ExternalName",
        ),
        (
            "HTTPRoute",
            "db",
            "name: db",
            "NotAllowedByListeners: port 5432 of the Service shop/db declares Tcp, which is not for a HTTPRoute",
        ),
        (
            "TLSRoute",
            "db",
            "name: db",
            "NotAllowedByListeners: port 5432 of the Service shop/db declares Tcp, which is not for a TLSRoute",
        ),
    ] {
        let said = verdicts(&route(kind, "r", parent, TO_V2), service);
        assert_eq!(said[0], format!("r Accepted=False/{expected}"), "{kind} {parent}");
    }
}

#[test]
fn a_route_of_another_namespace_is_refused() {
    let consumer = "kind: HTTPRoute\nmetadata: {name: r, namespace: accounts}\nspec: {parentRefs: [{group: '', kind: Service, name: web, namespace: shop}]}";
    let (service, found) = attached(&world(consumer), &web());
    let expected = "r Accepted=False/UnsupportedValue: routes for the clients of one namespace only are not supported: a route \
                    for shop/web must be in the namespace shop";
    assert_eq!(said(&found)[0], expected);
    assert_eq!(service.ports[0].routes, Routes::Own);
}

#[test]
fn a_reference_to_something_else_is_somebody_elses() {
    for parent in [
        "{name: web}",
        "{kind: Service, name: web}",
        "{group: '', kind: Gateway, name: web, new: 1}",
    ] {
        let yaml = format!("kind: HTTPRoute\nmetadata: {{name: r, namespace: shop}}\nspec: {{parentRefs: [{parent}]}}");
        assert_eq!(verdicts(&yaml, "web"), Vec::<String>::new(), "{parent}");
    }
    let both = "kind: HTTPRoute\nmetadata: {name: r, namespace: shop}\nspec: {parentRefs: [{name: gateway, new: 1}, {group: '', kind: Service, name: web}]}";
    assert_eq!(verdicts(both, "web")[0], "r Accepted=True/Accepted");
}

#[test]
fn a_reference_to_a_port_leaves_the_others_alone() {
    let (service, _) = attached(&world(&route("HTTPRoute", "r", "name: web, port: 8080", TO_V2)), &web());
    assert_eq!(service.ports[0].routes, Routes::Own);
    assert_eq!(rule_names(&service, 1), ["shop/r rule 0"]);
}

#[test]
fn the_oldest_route_goes_first_then_the_name() {
    let at = |name: &str, created: &str| {
        route("HTTPRoute", name, "name: web", TO_V2)
            .replace("namespace: shop}\nspec", &format!("namespace: shop{created}}}\nspec"))
    };
    let created = ", creationTimestamp: '2026-01-02T00:00:00Z'";
    let yaml = [
        at("a", created),
        at("c", ", creationTimestamp: '2026-01-01T00:00:00Z'"),
        at("b", created),
    ];
    let (service, _) = attached(&world(&yaml.join("---\n")), &web());
    assert_eq!(
        rule_names(&service, 0),
        ["shop/c rule 0", "shop/a rule 0", "shop/b rule 0"]
    );
}

#[test]
fn http_and_grpc_are_together_and_other_kinds_are_not() {
    let created = |kind: &str, name: &str, year: u32| {
        let stamp = format!("namespace: shop, creationTimestamp: '{year}-01-01T00:00:00Z'}}\nspec");
        route(kind, name, "name: web, port: 8080", TO_V2).replace("namespace: shop}\nspec", &stamp)
    };
    let yaml = [
        created("HTTPRoute", "a", 2020),
        created("GRPCRoute", "b", 2021),
        created("TCPRoute", "c", 2022),
    ];
    let (service, found) = attached(&world(&yaml.join("---\n")), &web());
    assert_eq!(rule_names(&service, 1), ["shop/a rule 0", "shop/b rule 0"]);
    let conflict =
        "c Accepted=False/Conflicted: an older route is at port 8080, which cannot be together with this TCPRoute";
    assert!(said(&found).contains(&conflict.to_owned()), "{found:?}");
    let yaml = [
        created("TCPRoute", "a", 2020),
        created("TCPRoute", "b", 2021),
        created("TLSRoute", "c", 2022),
    ];
    let (service, found) = attached(&world(&yaml.join("---\n")), &web());
    assert!(matches!(&service.ports[1].routes, Routes::Tcp(backends) if backends.len() == 1));
    assert_eq!(
        said(&found).iter().filter(|line| line.contains("Conflicted")).count(),
        2
    );
}

#[test]
fn a_route_for_a_whole_service_says_where_it_is_not_in_force() {
    let old = "kind: TCPRoute\nmetadata: {name: old, namespace: shop, creationTimestamp: '2020-01-01T00:00:00Z'}\nspec: {parentRefs: [{group: '', kind: Service, name: web, port: 80}], rules: []}\n";
    let (service, found) = attached(
        &world(&format!("{old}---\n{}", route("HTTPRoute", "r", "name: web", TO_V2))),
        &web(),
    );
    assert_eq!(rule_names(&service, 1), ["shop/r rule 0"]);
    let accepted = found
        .iter()
        .flat_map(|(_, verdicts)| verdicts)
        .find(|verdict| verdict.message.contains("not at"));
    assert_eq!(
        accepted.unwrap().message,
        "in force, but not at port 80, where an older route is"
    );
}

#[test]
fn rules_that_cannot_be_used_are_dropped_and_named() {
    let mirror = "{matches: [{path: {value: /a}}], filters: [{type: RequestMirror, requestMirror: {}}]}";
    let some = route(
        "HTTPRoute",
        "r",
        "name: web, port: 80",
        &format!("[{mirror}, {{backendRefs: [{{name: web-v2, port: 80}}]}}]"),
    );
    let (service, found) = attached(&world(&some), &web());
    assert_eq!(rule_names(&service, 0), ["shop/r rule 1"]);
    let expected = "r PartiallyInvalid=True/UnsupportedValue: Dropped Rule: spec.rules[0].filters[0].type: RequestMirror is \
                    not supported";
    assert_eq!(
        said(&found),
        ["r Accepted=True/Accepted", "r ResolvedRefs=True/ResolvedRefs", expected]
    );
    let all = route("HTTPRoute", "r", "name: web, port: 80", &format!("[{mirror}]"));
    let (service, found) = attached(&world(&all), &web());
    assert_eq!(service.ports[0].routes, Routes::Own);
    assert!(said(&found)[0].starts_with("r Accepted=False/UnsupportedValue: spec.rules[0].filters[0].type"));
}

#[test]
fn a_verdict_repeats_the_reference_and_the_generation() {
    let yaml = "kind: HTTPRoute\nmetadata: {name: r, namespace: shop, generation: 7}\nspec: {parentRefs: [{group: '', kind: Service, name: web, port: 80}]}";
    let (_, found) = attached(&world(yaml), &web());
    let verdict = &found[0].1[0];
    assert_eq!(verdict.generation, Some(7));
    let about: Value = serde_json::from_str(&verdict.about).unwrap();
    assert_eq!(
        about,
        serde_json::json!({"group": "", "kind": "Service", "name": "web", "port": 80})
    );
}
