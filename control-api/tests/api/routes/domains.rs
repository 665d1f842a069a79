//! Whose requests a virtual host takes.

use super::configuration;
use super::decode;
use super::decoded;
use super::host;
use evenkeel_control_api::resource::route::Domain;

#[test]
fn domains_are_names_or_begin_or_end_with_an_asterisk() {
    let mut message = host(Vec::new());
    message.domains = ["*", "Web.Test:80", "*.test", "*-x.test", "web.*"]
        .map(str::to_owned)
        .to_vec();
    let found = decoded(&configuration(vec![message])).virtual_hosts.remove(0).domains;
    assert_eq!(
        found,
        [
            Domain::Any,
            Domain::Exact("web.test:80".to_owned()),
            Domain::Suffix(".test".to_owned()),
            Domain::Suffix("-x.test".to_owned()),
            Domain::Prefix("web.".to_owned()),
        ]
    );
}

#[test]
fn a_domain_that_could_mean_two_things_is_refused() {
    let with = |domains: &[&str]| {
        let mut message = host(Vec::new());
        message.domains = domains.iter().map(|domain| (*domain).to_owned()).collect();
        message
    };
    for (domains, fault) in [
        (&["a", "A"][..], "virtual_hosts: the domain \"a\" is there twice"),
        (&["*", "*"], "virtual_hosts: the domain \"*\" is there twice"),
        (&["*.a", "*.a"], "virtual_hosts: the domain \"*.a\" is there twice"),
        (&[""], "virtual_hosts[0].domains[0]: is empty"),
        (
            &["a*b"],
            "virtual_hosts[0].domains[0]: \"a*b\": there can be one *, at the beginning or at the end",
        ),
        (
            &["*a*"],
            "virtual_hosts[0].domains[0]: \"*a*\": there can be one *, at the beginning or at the end",
        ),
        (
            &["**"],
            "virtual_hosts[0].domains[0]: \"**\": there can be one *, at the beginning or at the end",
        ),
        (&[], "virtual_hosts[0].domains: is empty"),
    ] {
        let faults = decode(&configuration(vec![with(domains)])).expect_err("a fault");
        assert_eq!(faults, [fault], "{domains:?}");
    }
    let shared = configuration(vec![with(&["a"]), with(&["b", "a"])]);
    assert_eq!(
        decode(&shared).expect_err("a fault"),
        ["virtual_hosts: the domain \"a\" is there twice"]
    );
}
