//! Changes of fields, level after level, and of paths.

use super::{Request, compile, configuration, everything, forward, host, route};
use crate::route::{Changes, Decision, PathChange, Table};
use evenkeel_control_api::resource::RouteConfiguration;
use evenkeel_control_api::resource::matcher::Substitution;
use evenkeel_control_api::resource::route::{
    AppendAction, ClusterName, Destination, Domain, HeaderAddition, HeaderMutations, HostRewrite, LastWord, Mutations,
    PathMatch, PathRewrite, RouteMatch, WeightedCluster,
};
use http::HeaderMap;

fn addition(name: &str, value: &str, action: AppendAction) -> HeaderAddition {
    HeaderAddition {
        name: name.parse().unwrap(),
        value: value.parse().unwrap(),
        action,
    }
}

fn changes(table: &Table) -> Changes {
    let request = Request::to("/");
    match table.find(|| request.ask(), &mut |_| 0).1 {
        Decision::Forward(forward) => forward.changes.as_deref().cloned().unwrap_or_default(),
        other => panic!("{other:?}"),
    }
}

/// What becomes of these fields.
fn changed(mutations: HeaderMutations, fields: &[(&'static str, &str)]) -> Vec<(String, String)> {
    let mut configuration = configuration(vec![host(&[Domain::Any], vec![route(everything(), 0)])]);
    configuration.mutations.request = mutations;
    let mut head = HeaderMap::new();
    for (name, value) in fields {
        head.append(*name, value.parse().unwrap());
    }
    changes(&compile(&configuration)).request.apply(&mut head).unwrap();
    let fields = head
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    fields.collect()
}

#[test]
fn a_field_is_appended_added_or_replaced() {
    for (action, there, absent) in [
        (AppendAction::Append, &["1", "2"][..], &["2"][..]),
        (AppendAction::AddIfAbsent, &["1"], &["2"]),
        (AppendAction::Overwrite, &["2"], &["2"]),
        (AppendAction::OverwriteIfPresent, &["2"], &[]),
    ] {
        let mutations = || HeaderMutations {
            remove: Vec::new(),
            add: vec![addition("x-a", "2", action)],
        };
        let values = |fields: &[(&'static str, &str)]| -> Vec<String> {
            changed(mutations(), fields)
                .into_iter()
                .map(|(_, value)| value)
                .collect()
        };
        assert_eq!(values(&[("x-a", "1")]), there, "{action:?}");
        assert_eq!(values(&[]), absent, "{action:?}");
    }
}

#[test]
fn removals_come_first_and_additions_last() {
    let mutations = HeaderMutations {
        remove: vec!["x-a".parse().unwrap()],
        add: vec![
            addition("x-a", "appended", AppendAction::Append),
            addition("x-a", "absent", AppendAction::AddIfAbsent),
            addition("x-a", "present", AppendAction::OverwriteIfPresent),
            addition("x-b", "appended", AppendAction::Append),
            addition("x-b", "replaced", AppendAction::Overwrite),
        ],
    };
    let found = changed(mutations, &[("x-a", "1"), ("x-b", "1")]);
    let expected = [
        ("x-b", "replaced"),
        ("x-b", "appended"),
        ("x-a", "appended"),
        ("x-a", "absent"),
    ];
    let mut found: Vec<_> = found
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    // A map keeps the order of the values of a name, and not that of names.
    found.sort_by_key(|(name, _)| std::cmp::Reverse(*name));
    assert_eq!(found, expected);
}

/// Every level says its name.
fn levels(last_word: LastWord) -> RouteConfiguration {
    let says = |name: &str| Mutations {
        request: HeaderMutations {
            remove: Vec::new(),
            add: vec![addition("x-level", name, AppendAction::Overwrite)],
        },
        response: HeaderMutations {
            remove: Vec::new(),
            add: vec![addition("x-level", name, AppendAction::Append)],
        },
    };
    let mut one = route(everything(), 0);
    one.mutations = says("route");
    one.action = route::Action::Forward(Box::new(route::Forward {
        destination: Destination::Weighted(vec![WeightedCluster {
            cluster: ClusterName::Literal("0".to_owned()),
            weight: 1,
            mutations: says("cluster"),
            host: Some("cluster.test".parse().unwrap()),
        }]),
        ..forward("")
    }));
    let mut host = host(&[Domain::Any], vec![one]);
    host.mutations = says("host");
    let mut configuration = configuration(vec![host]);
    configuration.mutations = says("configuration");
    configuration.last_word = last_word;
    configuration
}

#[test]
fn the_level_that_comes_last_has_the_last_word() {
    for (last_word, order) in [
        (LastWord::MostGeneral, ["cluster", "route", "host", "configuration"]),
        (LastWord::MostSpecific, ["configuration", "host", "route", "cluster"]),
    ] {
        let changes = changes(&compile(&levels(last_word)));
        let mut head = HeaderMap::new();
        changes.request.apply(&mut head).unwrap();
        assert_eq!(head["x-level"], order[3]);
        let mut head = HeaderMap::new();
        changes.response.apply(&mut head).unwrap();
        assert_eq!(head.get_all("x-level").iter().collect::<Vec<_>>(), order);
    }
}

#[test]
fn the_host_of_a_weighted_cluster_holds_unless_the_route_names_one() {
    let mut configuration = levels(LastWord::MostGeneral);
    let host = |configuration: &RouteConfiguration| changes(&compile(configuration)).host;
    let literal = |host: &str| Some(HostRewrite::Literal(host.parse().unwrap()));
    assert_eq!(host(&configuration), literal("cluster.test"));
    let route::Action::Forward(forward) = &mut configuration.virtual_hosts[0].routes[0].action else {
        panic!("it forwards")
    };
    forward.host = literal("route.test");
    assert_eq!(host(&configuration), literal("route.test"));
}

#[test]
fn a_head_that_takes_no_more_is_no_head_without_what_was_to_be_there() {
    let mut head = HeaderMap::new();
    for number in 0.. {
        if head
            .try_append(
                http::HeaderName::try_from(format!("x-{number}")).unwrap(),
                "1".parse().unwrap(),
            )
            .is_err()
        {
            break;
        }
    }
    assert!(
        changes(&compile(&levels(LastWord::MostGeneral)))
            .request
            .apply(&mut head)
            .is_err()
    );
}

fn rewritten(path: PathMatch, rewrite: PathRewrite, target: &str) -> Option<String> {
    let matches = RouteMatch { path, ..everything() };
    let mut one = route(matches, 0);
    one.action = route::Action::Forward(Box::new(route::Forward {
        path: Some(rewrite),
        ..forward("0")
    }));
    let table = super::table(vec![one]);
    let request = Request::to(target);
    let Decision::Forward(forward) = table.find(|| request.ask(), &mut |_| 0).1 else {
        panic!("{target} does not match")
    };
    let change: &PathChange = forward.changes.as_ref().unwrap().path.as_ref().unwrap();
    let ask = request.ask();
    change
        .apply(ask.path, ask.query)
        .map(|path| String::from_utf8(path).unwrap())
}

#[test]
fn what_matched_is_replaced_and_the_query_stays() {
    let prefix = |path: &str| PathMatch::Prefix(path.to_owned());
    let with = |path: &str| PathRewrite::Prefix(path.to_owned());
    for (path, rewrite, target, expected) in [
        (
            prefix("/prefix/"),
            with("/"),
            "/prefix/etc?a=/prefix/",
            "/etc?a=/prefix/",
        ),
        (prefix("/prefix"), with("/"), "/prefix", "/"),
        (prefix("/prefix"), with("/"), "/prefix/etc", "//etc"),
        (prefix("/"), with("/api"), "/a", "/apia"),
        (PathMatch::Exact("/a".into()), with("/b"), "/a?c", "/b?c"),
        (PathMatch::Segments("/a".into()), with("/b"), "/a/c", "/b/c"),
    ] {
        let found = rewritten(path.clone(), rewrite, target);
        assert_eq!(found.as_deref(), Some(expected), "{path:?} {target}");
    }
}

#[test]
fn an_expression_rewrites_the_path_and_what_it_makes_is_one() {
    let regex = |pattern, with| PathRewrite::Regex(Substitution::new(pattern, with).unwrap());
    let everything = || PathMatch::Prefix("/".to_owned());
    for (rewrite, target, expected) in [
        (
            regex("^/service/([^/]+)(/.*)$", r"\2/instance/\1"),
            "/service/foo/v1/api?service=1",
            "/v1/api/instance/foo?service=1",
        ),
        (regex("one", "two"), "/xxx/one/yyy/one/zzz", "/xxx/two/yyy/two/zzz"),
        (regex("^/", ""), "/a", "/a"),
        (regex(".*", ""), "/a?b", "/?b"),
    ] {
        assert_eq!(
            rewritten(everything(), rewrite, target).as_deref(),
            Some(expected),
            "{target}"
        );
    }
    assert_eq!(
        rewritten(everything(), PathRewrite::Prefix("/b".into()), "*"),
        None,
        "no path"
    );
}
