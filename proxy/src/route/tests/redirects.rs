//! Where redirects lead to.

use super::{Request, everything, route, table};
use crate::route::{Answer, AnswerKind, Decision};
use evenkeel_control_api::resource::matcher::Substitution;
use evenkeel_control_api::resource::route::{PathMatch, Redirect, RedirectPath, RouteMatch};
use http::StatusCode;

fn redirect() -> Redirect {
    Redirect {
        scheme: None,
        host: None,
        port: None,
        path: RedirectPath::Same,
        strip_query: false,
        status: StatusCode::MOVED_PERMANENTLY,
    }
}

fn location(redirect: &Redirect, path: PathMatch, request: &Request) -> String {
    let mut one = route(RouteMatch { path, ..everything() }, 0);
    one.action = route::Action::Redirect(redirect.clone());
    let table = table(vec![one]);
    let answer = match table.find(|| request.ask(), &mut |_| 0).1 {
        Decision::Answer(answer) => answer,
        other => panic!("{other:?}"),
    };
    let Answer {
        kind: AnswerKind::Redirect(_),
        ..
    } = answer
    else {
        panic!("{answer:?}")
    };
    assert_eq!(answer.status(), redirect.status);
    String::from_utf8(answer.location(&request.ask()).unwrap()).unwrap()
}

fn all() -> PathMatch {
    PathMatch::Prefix("/".to_owned())
}

#[test]
fn what_is_not_named_stays() {
    assert_eq!(
        location(&redirect(), all(), &Request::to("/a?b=c")),
        "http://web.test/a?b=c"
    );
    let elsewhere = Redirect {
        scheme: Some("https".to_owned()),
        host: Some("other.test".to_owned()),
        port: Some(8443),
        ..redirect()
    };
    assert_eq!(
        location(&elsewhere, all(), &Request::to("/a")),
        "https://other.test:8443/a"
    );
}

#[test]
fn the_port_of_the_request_goes_with_its_scheme() {
    let to = |scheme: Option<&str>, port, authority: &str| {
        let redirect = Redirect {
            scheme: scheme.map(str::to_owned),
            port,
            ..redirect()
        };
        location(&redirect, all(), &Request::of(authority))
    };
    assert_eq!(to(Some("https"), None, "web.test:80"), "https://web.test/");
    assert_eq!(to(Some("https"), None, "[fd00::1]:80"), "https://[fd00::1]/");
    assert_eq!(to(Some("https"), None, "[fd00::1]"), "https://[fd00::1]/");
    assert_eq!(to(Some("https"), None, "web.test:8080"), "https://web.test:8080/");
    assert_eq!(to(Some("http"), None, "web.test:80"), "http://web.test:80/");
    assert_eq!(to(None, None, "web.test:80"), "http://web.test:80/");
    assert_eq!(to(None, Some(81), "web.test:80"), "http://web.test:81/");
    let mut secure = Request::of("web.test:443");
    secure.scheme = "https";
    let plain = Redirect {
        scheme: Some("http".to_owned()),
        ..redirect()
    };
    assert_eq!(location(&plain, all(), &secure), "http://web.test/");
}

#[test]
fn a_query_that_is_configured_stands_for_that_of_the_request() {
    let to = |path: &str, strip_query, target: &str| {
        let redirect = Redirect {
            path: RedirectPath::Exact(path.to_owned()),
            strip_query,
            ..redirect()
        };
        location(&redirect, all(), &Request::to(target))
    };
    assert_eq!(
        to("/new-path-1", false, "/old-path-1?bar=1"),
        "http://web.test/new-path-1?bar=1"
    );
    assert_eq!(
        to("/new-path-2", true, "/old-path-2?bar=1"),
        "http://web.test/new-path-2"
    );
    assert_eq!(
        to("/new-path-3?foo=1", true, "/old-path-3?bar=1"),
        "http://web.test/new-path-3?foo=1"
    );
    assert_eq!(
        to("/new-path-4?foo=1", false, "/old-path-4?bar=1"),
        "http://web.test/new-path-4?foo=1"
    );
}

#[test]
fn a_prefix_or_an_expression_is_replaced_as_in_a_rewrite() {
    let with = |path| Redirect {
        path,
        strip_query: true,
        ..redirect()
    };
    let prefix = with(RedirectPath::Prefix("/new".to_owned()));
    let old = PathMatch::Prefix("/old".to_owned());
    assert_eq!(
        location(&prefix, old, &Request::to("/old/a?b")),
        "http://web.test/new/a"
    );
    let regex = with(RedirectPath::Regex(Substitution::new("^/(.)", r"/\1\1").unwrap()));
    assert_eq!(location(&regex, all(), &Request::to("/a?b")), "http://web.test/aa");
}

#[test]
fn a_request_for_nobody_is_sent_to_another_path() {
    let mut request = Request::to("/a");
    request.authority = None;
    let redirect = Redirect {
        path: RedirectPath::Exact("/b".to_owned()),
        ..redirect()
    };
    assert_eq!(location(&redirect, all(), &request), "/b");
}
