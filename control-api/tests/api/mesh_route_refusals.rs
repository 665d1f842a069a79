//! What a mesh document may not say of routes, and where it is told.

use crate::mesh_routes::port;
use crate::mesh_routes::rule;
use crate::mesh_routes::with;
use evenkeel_control_api::mesh;
use evenkeel_control_api::mesh::model::Endpoint;
use evenkeel_control_api::mesh::model::Endpoints;
use evenkeel_control_api::mesh::model::Field;
use evenkeel_control_api::mesh::model::HttpMatch;
use evenkeel_control_api::mesh::model::HttpRule;
use evenkeel_control_api::mesh::model::PathTest;
use evenkeel_control_api::mesh::model::Routes;
use evenkeel_control_api::mesh::model::Service;
use evenkeel_control_api::mesh::model::ServicePort;

#[test]
fn faults_of_what_is_built_in_code_are_those_of_the_service_or_the_rule_alone() {
    let bad = rule(HttpMatch {
        path: PathTest::Regex("a(".to_owned()),
        ..HttpMatch::default()
    });
    let good = rule(HttpMatch::default());
    let mut changing = rule(HttpMatch::default());
    changing.request_headers.set.push(Field {
        name: "Host".to_owned(),
        value: "a".to_owned(),
    });
    assert_eq!(mesh::check_rule(&good), Ok(()));
    for (rule, part) in [(&bad, "unclosed group"), (&changing, "\"Host\" cannot be changed")] {
        let faults = mesh::check_rule(rule).expect_err("a fault");
        assert!(faults.to_string().contains(part), "{faults}");
    }
    let service = |rules: Vec<HttpRule>| Service {
        vips: vec![
            "10.96.0.1".parse().expect("an address"),
            "fd00::1".parse().expect("an address"),
        ],
        ports: vec![ServicePort {
            endpoints: Endpoints::Known(vec![Endpoint::new("10.1.0.1:80".parse().expect("an address"))]),
            routes: Routes::Http(rules),
            ..port()
        }],
        ..Service::new("web")
    };
    assert_eq!(
        mesh::check_service(&service(vec![good.clone()])),
        Ok(()),
        "whoever v1 is"
    );
    let faults = mesh::check_service(&service(vec![good, bad])).expect_err("a fault");
    assert_eq!(faults.0.len(), 1, "once, however many addresses there are: {faults}");
}

#[track_caller]
fn assert_refused(port: &str, expected: &[&str]) {
    let faults = mesh::parse(&with(port)).expect_err("the document should be refused");
    let found: Vec<String> = faults.0.iter().map(ToString::to_string).collect();
    assert_eq!(found, expected);
}

#[test]
fn what_is_wrong_with_a_route_is_said_where_it_stands() {
    assert_refused(
        "  - port: 80
    affinity: cookie
    endpoints: []
    routes:
      http:
      - matches:
        - path: {prefix: api}
        - path: {regex: \"a(\", exact: /a}
        - method: \"GE T\"
          headers: [{name: \"a b\", exact: a}, {name: a}]
          querry: []
        hostnames: [\"a:80\"]
        request_headers: {set: [{name: host, value: a}], remove: [\"\"]}
        backends: [{service: v3, port: 80}, {service: v1, port: 81}, {missing: yes, port: 1}]
      - redirect: {scheme: ftp, status: 300}
        rewrite: {}
      - name: empty
",
        &[
            "8:15: services[2].ports[0].affinity: expected one of none, client_ip, found \"cookie\"",
            "13:26: services[2].ports[0].routes.http[0].matches[0].path.prefix: \"api\" is no path: it begins with \"/\" and holds neither blanks nor '?' nor '#'",
            "14:17: services[2].ports[0].routes.http[0].matches[1].path: needs exactly one of exact, prefix, regex",
            "14:25: services[2].ports[0].routes.http[0].matches[1].path.regex: \"a(\": unclosed group, at character 2",
            "15:19: services[2].ports[0].routes.http[0].matches[2].method: \"GE T\" is no method",
            "16:28: services[2].ports[0].routes.http[0].matches[2].headers[0].name: \"a b\" is not the name of a field",
            "16:46: services[2].ports[0].routes.http[0].matches[2].headers[1]: needs exactly one of exact, regex",
            "17:11: services[2].ports[0].routes.http[0].matches[2].querry: unknown key; did you mean \"query\"?",
            "18:21: services[2].ports[0].routes.http[0].hostnames[0]: \"a:80\" is neither the name of a host nor \"*.\" and the end of one",
            "19:40: services[2].ports[0].routes.http[0].request_headers.set[0].name: \"host\" cannot be changed",
            "19:67: services[2].ports[0].routes.http[0].request_headers.remove[0]: \"\" is not the name of a field that can be changed",
            "20:20: services[2].ports[0].routes.http[0].backends[0]: there is no port 80 of a service v3",
            "20:45: services[2].ports[0].routes.http[0].backends[1]: there is no port 81 of a service v1",
            "20:80: services[2].ports[0].routes.http[0].backends[2].missing: expected \"true\", found \"yes\"",
            "20:91: services[2].ports[0].routes.http[0].backends[2].port: cannot be there with missing",
            "21:28: services[2].ports[0].routes.http[1].redirect.scheme: expected one of http, https, found \"ftp\"; did you mean \"http\"?",
            "21:41: services[2].ports[0].routes.http[1].redirect.status: expected one of 301, 302, 303, 307, 308, found \"300\"; did you mean \"301\"?",
            "22:18: services[2].ports[0].routes.http[1].rewrite: is for what goes to backends, and redirect is here",
            "23:9: services[2].ports[0].routes.http[2]: needs exactly one of backends, redirect",
        ],
    );
}

#[test]
fn rules_that_the_port_cannot_have_are_refused() {
    assert_refused(
        "  - {port: 80, protocol: tcp, endpoints: [], routes: {http: []}}
  - {port: 81, protocol: http, endpoints: [], routes: {tls: []}}
  - {port: 82, endpoints: [], routes: {tls: [], tcp: []}}
  - port: 83
    dns: {name: \"*.example.com\", port: 1}
  - {port: 84, dns: {name: a, port: 1}, endpoints: []}
  - {port: 85}
  - {port: 86, endpoints: [], routes: {tls: [{backends: []}, {hostnames: [a.b], backends: []}, {hostnames: [A.b], backends: []}, {backends: []}]}}
- name: headless
  ports: [{port: 80, endpoints: [{address: \"127.0.0.1:15001\"}], routes: {tcp: []}}]
",
        &[
            "7:61: services[2].ports[0].routes.http: are rules for requests, and the port's protocol has none",
            "8:61: services[2].ports[1].routes.tls: are rules for TLS, and the port's protocol is another",
            "9:39: services[2].ports[2].routes: needs exactly one of http, tls, tcp",
            "11:17: services[2].ports[3].dns.name: \"*.example.com\" is not the name of a host",
            "12:21: services[2].ports[4].dns: cannot be there with endpoints",
            "13:5: services[2].ports[5]: the key \"endpoints\" is missing",
            "14:109: services[2].ports[6].routes.tls[2].hostnames[0]: a.b is at line 14 already",
            "14:130: services[2].ports[6].routes.tls[3]: a rule for every name is at line 14 already",
            "16:11: services[3].ports[0]: routes are for connections to VIPs, and the service has none",
            "16:11: services[3].ports[0]: 127.0.0.1:15001 is where this proxy listens",
        ],
    );
}
