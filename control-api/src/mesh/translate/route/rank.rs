//! Which of several rules comes first: the order of the Gateway API.

use crate::mesh::model::GrpcMethod;
use crate::mesh::model::Hostname;
use crate::mesh::model::HttpMatch;
use crate::mesh::model::PathTest;
use crate::mesh::model::TextTest;

/// How specific a match is; the greatest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    hostname: Nearness,
    path: Path,
    method: bool,
    headers: usize,
    query: usize,
}

/// How specific a hostname is: any, all under a name, a name; and how long it is.
pub(super) type Nearness = (u8, usize);

/// How specific a path is; then its length, then that of a method of gRPC. The Gateway API leaves open where expressions
/// stand: who writes one beside a prefix wants it to be heard.
type Path = (PathKind, usize, usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PathKind {
    Prefix,
    Regex,
    Exact,
}

impl Rank {
    pub(super) fn new(hostname: Nearness, one: &HttpMatch) -> Self {
        Self {
            hostname,
            path: path(&one.path),
            method: one.method.is_some(),
            headers: one.headers.len(),
            query: one.query.len(),
        }
    }
}

/// How near a rule's hostnames come to a domain; `None`: the rule is not for it.
pub(super) fn nearness(hostnames: &[Hostname], domain: Option<&Hostname>) -> Option<Nearness> {
    if hostnames.is_empty() {
        return Some((0, 0));
    }
    let covering = hostnames.iter().filter(|hostname| covers(hostname, domain));
    let near = covering.map(|hostname| match hostname {
        Hostname::Under(end) => (1, end.len()),
        Hostname::Exactly(name) => (2, name.len()),
    });
    near.max()
}

/// Whether all that asks for `domain` asks for `hostname`, too.
fn covers(hostname: &Hostname, domain: Option<&Hostname>) -> bool {
    let under = |name: &str, end: &str| name.strip_suffix(end).is_some_and(|rest| rest.ends_with('.'));
    match (hostname, domain) {
        (_, None) => false,
        (Hostname::Under(end), Some(Hostname::Exactly(name))) => under(name, end),
        (Hostname::Under(end), Some(Hostname::Under(other))) => other == end || under(other, end),
        (Hostname::Exactly(_), Some(other)) => other == hostname,
    }
}

fn path(asked: &PathTest) -> Path {
    match asked {
        PathTest::Exact(path) => (PathKind::Exact, path.len(), 0),
        PathTest::Regex(pattern) => (PathKind::Regex, pattern.len(), 0),
        PathTest::Prefix(prefix) => (PathKind::Prefix, prefix.trim_end_matches('/').len(), 0),
        PathTest::Grpc(GrpcMethod { service, method }) => {
            let length = |name: &Option<TextTest>| match name {
                Some(TextTest::Exact(text) | TextTest::Regex(text)) => text.len(),
                None => 0,
            };
            let has_regex = [service, method]
                .iter()
                .any(|test| matches!(test, Some(TextTest::Regex(_))));
            let kind = match (has_regex, service, method) {
                (true, _, _) => PathKind::Regex,
                (false, Some(_), Some(_)) => PathKind::Exact,
                (false, _, _) => PathKind::Prefix,
            };
            (kind, length(service), length(method))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh::model::HeaderTest;
    use crate::mesh::model::QueryTest;

    fn on(path: PathTest) -> HttpMatch {
        HttpMatch {
            path,
            ..HttpMatch::default()
        }
    }

    fn prefix(text: &str) -> PathTest {
        PathTest::Prefix(text.to_owned())
    }

    fn grpc(service: Option<&str>, method: Option<&str>) -> HttpMatch {
        let exact = |text: &str| TextTest::Exact(text.to_owned());
        on(PathTest::Grpc(GrpcMethod {
            service: service.map(exact),
            method: method.map(exact),
        }))
    }

    #[test]
    fn the_order_is_that_of_the_gateway_api() {
        let value = TextTest::Exact("1".to_owned());
        let headers = |count: usize| {
            let one = HeaderTest {
                name: "a".to_owned(),
                value: value.clone(),
            };
            vec![one; count]
        };
        let query = vec![QueryTest {
            name: "a".to_owned(),
            value: value.clone(),
        }];
        let with_method = HttpMatch {
            method: Some("GET".to_owned()),
            ..on(prefix("/a"))
        };
        let descending = [
            on(PathTest::Exact("/a".to_owned())),
            on(PathTest::Regex("/.*".to_owned())),
            on(prefix("/a/b/c")),
            on(prefix("/a/b/")),
            HttpMatch {
                headers: headers(1),
                ..with_method.clone()
            },
            with_method,
            HttpMatch {
                headers: headers(2),
                ..on(prefix("/a"))
            },
            HttpMatch {
                headers: headers(1),
                query: query.clone(),
                ..on(prefix("/a"))
            },
            HttpMatch {
                headers: headers(1),
                ..on(prefix("/a"))
            },
            HttpMatch {
                query,
                ..on(prefix("/a"))
            },
            on(prefix("/a/")),
            on(prefix("/")),
        ];
        for (place, pair) in descending.windows(2).enumerate() {
            assert!(Rank::new((0, 0), &pair[0]) > Rank::new((0, 0), &pair[1]), "{place}");
        }
        assert_eq!(
            Rank::new((0, 0), &on(prefix("/a"))),
            Rank::new((0, 0), &on(prefix("/a/")))
        );
        assert!(Rank::new((1, 3), &on(prefix("/"))) > Rank::new((0, 0), &descending[0]));
    }

    #[test]
    fn of_grpc_the_service_goes_before_the_method() {
        let descending = [
            grpc(Some("shop.Orders"), Some("Get")),
            grpc(Some("shop.Orders"), None),
            grpc(Some("shop"), None),
            grpc(None, Some("Delete")),
            grpc(None, Some("Get")),
            grpc(None, None),
        ];
        for (place, pair) in descending.windows(2).enumerate() {
            assert!(Rank::new((0, 0), &pair[0]) > Rank::new((0, 0), &pair[1]), "{place}");
        }
    }

    #[test]
    fn a_hostname_is_for_domains_that_it_covers_and_the_longest_is_nearest() {
        let host = |text: &str| Hostname::parse(text).unwrap();
        let near = |hostnames: &[&str], domain: &str| {
            let hostnames: Vec<_> = hostnames.iter().map(|text| host(text)).collect();
            nearness(&hostnames, Some(&host(domain)))
        };
        assert_eq!(near(&[], "a.b.c"), Some((0, 0)));
        assert_eq!(near(&["*.c", "*.b.c", "a.b.c"], "a.b.c"), Some((2, 5)));
        assert_eq!(near(&["*.c", "*.b.c"], "a.b.c"), Some((1, 3)));
        assert_eq!(near(&["*.c"], "*.b.c"), Some((1, 1)));
        assert_eq!(near(&["*.b.c"], "*.b.c"), Some((1, 3)));
        assert_eq!(near(&["*.b.c", "a.b.c"], "*.c"), None);
        assert_eq!(near(&["*.b.c"], "b.c"), None);
        assert_eq!(near(&["*.b.c"], "xb.c"), None);
        assert_eq!(nearness(&[host("a.b")], None), None);
    }
}
