//! What differs on purpose, and how. `docs/envoy.md` has the reasons; everywhere else both must be equal.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::load::Spoken;
use evenkeel_tests::xds::resource;
use serde_json::Value;
use serde_json::json;

use crate::exchange::Answer;
use crate::exchange::Outcome;
use crate::exchange::get;
use crate::exchange::request;
use crate::expected::IN_ANSWERS;
use crate::expected::IN_REQUESTS;
use crate::mirror::DELAY;
use crate::mirror::HINT;
use crate::mirror::TRAILERS;
use crate::mirror::VERBATIM;
use crate::shares::NO_PANIC;
use crate::world::Both;
use crate::world::World;

/// Nobody listens at this port of the endpoints.
const NOBODY: u16 = 1;
/// How often a cluster with one endpoint of two that is dead is asked: Envoy takes turns.
const TURNS: usize = 6;
/// Of a cluster one of whose endpoints is dead.
const ANOTHER: &str = "What could not be sent goes to another endpoint";

/// What is asked, and what comes of it.
struct Difference {
    /// As `docs/envoy.md` has it.
    what: &'static str,
    spoken: Spoken,
    request: String,
    ours: fn(&Outcome) -> bool,
    envoy: fn(&Outcome) -> bool,
}

impl Difference {
    fn new(what: &'static str, request: String, ours: fn(&Outcome) -> bool, envoy: fn(&Outcome) -> bool) -> Self {
        Self {
            what,
            spoken: Spoken::Http1,
            request,
            ours,
            envoy,
        }
    }

    fn over(self, spoken: Spoken) -> Self {
        Self { spoken, ..self }
    }
}

fn answer(outcome: &Outcome) -> Option<&Answer> {
    match outcome {
        Outcome::Answer(answer) => Some(answer),
        Outcome::Closed => None,
    }
}

fn is(outcome: &Outcome, status: u16) -> bool {
    answer(outcome).is_some_and(|answer| answer.status == status)
}

/// Whether an endpoint has answered.
fn reached(outcome: &Outcome) -> bool {
    has(outcome, "x-mirror", "a")
}

fn has(outcome: &Outcome, name: &str, value: &str) -> bool {
    answer(outcome).is_some_and(|answer| {
        let mut fields = answer.fields.iter();
        fields.any(|field| field.0 == name && field.1 == value)
    })
}

/// Whether an endpoint has seen this.
fn saw(outcome: &Outcome, words: &str) -> bool {
    answer(outcome).is_some_and(|answer| answer.status == 200 && answer.body.contains(words))
}

fn is_closed(outcome: &Outcome) -> bool {
    *outcome == Outcome::Closed
}

fn differences() -> Vec<Difference> {
    [syntax(), forwarding(), limits(), clusters()]
        .into_iter()
        .flatten()
        .collect()
}

/// What is taken, and what is refused.
fn syntax() -> Vec<Difference> {
    let strict = "Framing and syntax are strict";
    let version = "HTTP/1.0 is served, other versions are malformed";
    let malformed =
        |lines: &str| Difference::new(strict, lines.to_owned(), |ours| is(ours, 400), |envoy| is(envoy, 200));
    let user = get("user@web.test", "/", &[]);
    let lengths = ["Content-Length: 3", "Content-Length: 3"];
    vec![
        Difference::new(version, "GET / HTTP/1.0\r\n\r\n".to_owned(), reached, |envoy| {
            is(envoy, 426)
        }),
        Difference::new(
            version,
            "GET / HTTP/2.0\r\nHost: a\r\n\r\n".to_owned(),
            |ours| is(ours, 400),
            |envoy| is(envoy, 426),
        ),
        Difference::new(
            "Two Hosts are refused",
            get("web.test", "/", &["Host: other.test"]),
            |ours| is(ours, 400),
            reached,
        ),
        malformed("GET / HTTP/1.1\nHost: a\n\n"),
        malformed("GET / HTTP/1.1\r\nHost: a\r\nX-Folded: a\r\n b\r\n\r\n"),
        malformed("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        malformed(&user),
        Difference::new(
            "Streams that are refused are answered",
            user,
            |ours| is(ours, 400),
            is_closed,
        )
        .over(Spoken::Http2),
        Difference::new(
            "A length that is told twice is one",
            request("POST", "web.test", "/", &lengths) + "abc",
            reached,
            is_closed,
        )
        .over(Spoken::Http2),
        Difference::new(
            "Methods that nobody registered are forwarded",
            request("MADEUP", "web.test", "/", &[]),
            reached,
            |envoy| is(envoy, 400),
        ),
        Difference::new(
            "CONNECT is a request like any other",
            request("CONNECT", "web.test:80", "web.test:80", &[]),
            reached,
            |envoy| is(envoy, 404),
        )
        .over(Spoken::Http2),
        Difference::new(
            "`OPTIONS *` is forwarded",
            request("OPTIONS", "web.test", "*", &[]),
            |ours| saw(ours, "OPTIONS * "),
            |envoy| is(envoy, 404),
        ),
        Difference::new(
            "Targets are not changed by routing alone",
            get("web.test", "/\u{e9}", &[]),
            |ours| saw(ours, "GET /\u{e9} HTTP/1.1"),
            |envoy| is(envoy, 400),
        ),
        Difference::new(
            "Targets are not changed by routing alone",
            get("web.test", "http://absolute.test/a?b", &[]),
            |ours| saw(ours, "GET http://absolute.test/a?b HTTP/1.1\nhost: absolute.test"),
            |envoy| saw(envoy, "GET /a?b HTTP/1.1\nhost: absolute.test"),
        ),
    ]
}

/// What becomes of fields and of other answers than the last.
fn forwarding() -> Vec<Difference> {
    let upgrade = "Unknown `Upgrade` tokens are forwarded";
    let expect = "`Expect` goes to the endpoint, and interim answers come back";
    let bodiless = "Nothing is added to requests";
    let te = "`TE` is told in `Connection`";
    vec![
        Difference::new(
            upgrade,
            get("web.test", "/", &["Connection: upgrade", "Upgrade: TLS/1.2"]),
            reached,
            |envoy| is(envoy, 403),
        ),
        Difference::new(
            expect,
            request("POST", "web.test", "/", &["Content-Length: 3", "Expect: 100-continue"]) + "abc",
            |ours| saw(ours, "expect: 100-continue") && answer(ours).is_some_and(|ours| ours.interim.is_empty()),
            |envoy| !saw(envoy, "expect") && answer(envoy).is_some_and(|envoy| envoy.interim == [100]),
        ),
        Difference::new(
            expect,
            get("web.test", "/", &[&format!("{HINT}: 1")]),
            |ours| reached(ours) && answer(ours).is_some_and(|ours| ours.interim == [103]),
            |envoy| reached(envoy) && answer(envoy).is_some_and(|envoy| envoy.interim.is_empty()),
        ),
        Difference::new(
            "Names of fields keep their case",
            get("web.test", "/", &[&format!("{VERBATIM}: 1"), "X-Upper: 1"]),
            |ours| saw(ours, "\nX-Upper: 1\n"),
            |envoy| saw(envoy, "\nx-upper: 1\n"),
        ),
        Difference::new(
            "Trailers of HTTP/1 are relayed",
            get("web.test", "/", &[&format!("{TRAILERS}: 1"), "TE: trailers"]),
            |ours| has(ours, "x-trailer", "t"),
            |envoy| reached(envoy) && !has(envoy, "x-trailer", "t"),
        ),
        Difference::new(
            te,
            get("web.test", "/", &["TE: trailers"]),
            |ours| saw(ours, "connection: TE\n"),
            |envoy| saw(envoy, "te: trailers") && !saw(envoy, "connection: "),
        ),
        Difference::new(
            bodiless,
            request("POST", "web.test", "/", &[]),
            |ours| reached(ours) && !saw(ours, "content-length"),
            |envoy| saw(envoy, "content-length: 0"),
        ),
        Difference::new(
            "Crumbs of cookies stay apart over HTTP/2",
            get("web.test", "/", &["Cookie: a=1", "Cookie: b=2"]),
            |ours| saw(ours, "cookie: a=1\ncookie: b=2"),
            |envoy| saw(envoy, "cookie: a=1; b=2"),
        )
        .over(Spoken::Http2),
    ]
}

/// Of time and of size.
fn limits() -> Vec<Difference> {
    let (heads, status) = (
        "A head may have 64 KiB",
        "A call that takes too long is DEADLINE_EXCEEDED",
    );
    let large = || get("web.test", "/", &[&format!("x-large: {}", "x".repeat(62_000))]);
    let late = |path| get("web.test", path, &[&format!("{DELAY}: 1500")]);
    let many = "X-Many: 1\r\n".repeat(101);
    let grpc = |path| {
        Difference::new(
            status,
            late(path),
            |ours| has(ours, "grpc-status", "4"),
            |envoy| has(envoy, "grpc-status", "14"),
        )
        .over(Spoken::Grpc)
    };
    vec![
        Difference::new(heads, large(), reached, |envoy| is(envoy, 431)),
        Difference::new(heads, large(), reached, is_closed).over(Spoken::Http2),
        Difference::new(
            "Streams that are refused are answered",
            format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"),
            |ours| is(ours, 431),
            is_closed,
        )
        .over(Spoken::Http2),
        grpc("/short"),
        grpc("/idle"),
        Difference::new(
            "Endpoints are not told how long a route waits",
            get("web.test", "/stream", &[]),
            |ours| reached(ours) && !saw(ours, "grpc-timeout"),
            |envoy| saw(envoy, "grpc-timeout: 300m"),
        )
        .over(Spoken::Grpc),
        Difference::new(
            "There is no timeout where none is configured",
            get("web.test", "/unset", &[&format!("{DELAY}: 22000")]),
            reached,
            |envoy| is(envoy, 504),
        ),
    ]
}

/// Where requests go.
fn clusters() -> Vec<Difference> {
    let version = "A cluster that names no version of HTTP is asked as the client asks";
    let asked = |spoken| {
        Difference::new(
            version,
            get("web.test", "/plain", &[]),
            |ours| saw(ours, "/plain HTTP/2.0"),
            |envoy| saw(envoy, "/plain HTTP/1.1"),
        )
        .over(spoken)
    };
    vec![asked(Spoken::Http2), asked(Spoken::Grpc)]
}

fn routes() -> Value {
    let route = |prefix: &str, action: Value| json!({"match": {"prefix": prefix}, "route": resource::with(json!({"cluster": "a", "timeout": "0s"}), action)});
    let rest = [
        route("/short", json!({"timeout": "0.3s"})),
        route("/idle", json!({"idle_timeout": "0.3s"})),
        route(
            "/stream",
            json!({"max_stream_duration": {"max_stream_duration": "0.3s"}}),
        ),
        json!({"match": {"prefix": "/unset"}, "route": {"cluster": "a"}}),
        route("/plain", json!({"cluster": "plain"})),
        route("/half", json!({"cluster": "half"})),
        route("/", json!({})),
    ];
    resource::routes("routes", &[resource::host("all", &["*"], &rest)])
}

fn world() -> Result<World> {
    World::new(Family::V4, |endpoints| {
        let at = |port| SocketAddr::new(endpoints.family().vip(10), port);
        let (alive, dead) = (endpoints.http(0), SocketAddr::new(endpoints.http(0).ip(), NOBODY));
        vec![
            resource::fixed("plain", [alive]),
            resource::fixed("half", [dead, alive]),
            resource::fixed("half-bytes", [dead, endpoints.bytes(0)]),
            resource::listener("web", at(80), &[resource::chain(&resource::http(&routes()))]),
            resource::listener("bytes", at(81), &[resource::chain(&resource::tcp("half-bytes"))]),
        ]
    })
}

#[test]
fn what_differs_on_purpose_differs_as_it_is_written_here() -> Result<()> {
    let world = world()?;
    let mut wrong = Vec::new();
    for difference in differences() {
        let Difference {
            what,
            spoken,
            request,
            ours,
            envoy,
        } = difference;
        let both = world.ask_in(world.vip(10, 80), &request, spoken)?;
        let both = both.with_context(|| format!("{request:?} cannot be said over {spoken:?}"))?;
        for (name, outcome, fits) in [("ours", &both.ours, ours), ("Envoy", &both.envoy, envoy)] {
            if !fits(outcome) {
                let request = &request[..request.len().min(100)];
                wrong.push(format!("{what}: {name}: {spoken:?} {request:?}: {outcome:?}"));
            }
        }
    }
    for (port, request) in [(80, get("web.test", "/half", &[])), (81, "bytes".to_owned())] {
        let turns: Result<Vec<Both>> = (0..TURNS)
            .map(|_| world.ask(world.vip(10, port), request.as_bytes()))
            .collect();
        let turns = turns?;
        let ours = turns.iter().all(|both| is(&both.ours, 200));
        let envoys = turns.iter().filter(|both| is(&both.envoy, 200)).count();
        if !ours || envoys != TURNS / 2 {
            wrong.push(format!("{ANOTHER}: at {port}: {ours}, {envoys} of Envoy's"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// `- **What**: why.`
#[test]
fn the_page_names_every_difference_and_nothing_else() -> Result<()> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/envoy.md");
    let page = std::fs::read_to_string(&page).with_context(|| page.display().to_string())?;
    let items = page.lines().filter_map(|line| line.strip_prefix("- **"));
    let told: BTreeSet<&str> = items.filter_map(|item| item.split("**").next()).collect();
    let fields = IN_REQUESTS.iter().chain(IN_ANSWERS).map(|field| field.what);
    let shown: BTreeSet<&str> = differences()
        .iter()
        .map(|difference| difference.what)
        .chain(fields)
        .chain([ANOTHER, NO_PANIC, crate::idle::SILENCE])
        .collect();
    assert_eq!(told, shown);
    Ok(())
}
