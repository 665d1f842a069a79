//! Which virtual host has an authority.

use super::{Request, compile, configuration, everything, host, place, route};
use crate::route::Table;
use evenkeel_control_api::resource::route::{Domain, Ports};

/// Each domain is a virtual host whose requests go to the cluster of its place in the list.
fn table(ports: Ports, domains: &[Domain]) -> Table {
    let hosts = domains.iter().enumerate();
    let hosts = hosts.map(|(place, domain)| host(std::slice::from_ref(domain), vec![route(everything(), place)]));
    let mut configuration = configuration(hosts.collect());
    configuration.ports = ports;
    compile(&configuration)
}

fn exact(name: &str) -> Domain {
    Domain::Exact(name.to_owned())
}

fn suffix(suffix: &str) -> Domain {
    Domain::Suffix(suffix.to_owned())
}

fn prefix(prefix: &str) -> Domain {
    Domain::Prefix(prefix.to_owned())
}

#[test]
fn exact_comes_before_suffix_before_prefix_before_any_and_longer_before_shorter() {
    let domains = [
        Domain::Any,
        prefix("www."),
        prefix("www.foo."),
        suffix(".com"),
        suffix(".foo.com"),
        suffix("-bar.foo.com"),
        exact("www.foo.com"),
    ];
    let table = table(Ports::Compared, &domains);
    for (authority, expected) in [
        ("www.foo.com", 6),
        ("WWW.Foo.COM", 6),
        ("a-bar.foo.com", 5),
        ("a.b.foo.com", 4),
        ("foo.com", 3),
        ("www.foo.org", 2),
        ("www.org", 1),
        ("org", 0),
        ("www.foo.com:80", 2),
    ] {
        assert_eq!(place(&table, &Request::of(authority)), Some(expected), "{authority}");
    }
}

#[test]
fn an_asterisk_stands_for_something() {
    let table = table(Ports::Compared, &[suffix(".foo.com"), prefix("www.")]);
    for authority in [".foo.com", "www.", "foo.com", ""] {
        assert_eq!(place(&table, &Request::of(authority)), None, "{authority}");
    }
    assert_eq!(place(&table, &Request::of("a.foo.com")), Some(0));
    assert_eq!(place(&table, &Request::of("www.a")), Some(1));
}

#[test]
fn ports_are_compared_unless_they_are_ignored() {
    let domains = [exact("web.test"), exact("web.test:81"), exact("[fd00::1]"), Domain::Any];
    let (compared, ignored) = (table(Ports::Compared, &domains), table(Ports::Ignored, &domains));
    for (authority, with, without) in [
        ("web.test", 0, 0),
        ("web.test:80", 3, 0),
        ("web.test:81", 1, 0),
        ("[fd00::1]", 2, 2),
        ("[FD00::1]:80", 3, 2),
        ("web.test:", 3, 0),
    ] {
        assert_eq!(place(&compared, &Request::of(authority)), Some(with), "{authority}");
        assert_eq!(place(&ignored, &Request::of(authority)), Some(without), "{authority}");
    }
}

#[test]
fn a_request_for_nobody_is_for_who_has_all() {
    let mut request = Request::to("/");
    request.authority = None;
    assert_eq!(
        place(&table(Ports::Compared, &[suffix("a"), Domain::Any]), &request),
        Some(1)
    );
    assert_eq!(place(&table(Ports::Compared, &[suffix("a")]), &request), None);
}

#[test]
fn the_rules_of_one_host_are_not_those_of_another() {
    let hosts = vec![
        host(&[exact("a")], Vec::new()),
        host(&[Domain::Any], vec![route(everything(), 1)]),
    ];
    let table = compile(&configuration(hosts));
    assert_eq!(
        place(&table, &Request::of("a")),
        None,
        "no falling through to the next host"
    );
    assert_eq!(place(&table, &Request::of("b")), Some(1));
}
