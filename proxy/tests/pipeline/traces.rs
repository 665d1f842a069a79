//! Contexts of traces in heads, in every pairing of versions.

use crate::support::Bench;
use crate::support::ask::Answer;
use crate::support::ask::Content;
use crate::support::ask::PAIRINGS;
use crate::support::ask::Version;
use crate::support::document;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::settle;
use evenkeel_control_api::mesh;
use evenkeel_proxy::telemetry::trace::Tracer;
use h2::Reason;
use http::HeaderMap;
use http::Request;
use http::Response;
use std::cell::RefCell;
use std::rc::Rc;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// The heads that a server of this version got.
pub(crate) async fn hearing(version: Version) -> (Server, Rc<RefCell<Vec<HeaderMap>>>) {
    let heard = Rc::<RefCell<Vec<HeaderMap>>>::default();
    let heads = Rc::clone(&heard);
    let server = Server::answering(version, move |ask| {
        heads.borrow_mut().push(ask.headers().clone());
        Answer::new(Content::default())
    });
    (server.await, heard)
}

/// A proxy with these settings, whose spans nobody gets.
pub(crate) fn tracing(document: &str, settings: &str) -> Bench {
    let section = format!("tracing: {{collector: \"http://127.0.0.1:9\", {settings}}}\n");
    let settings = mesh::load(&section).unwrap().settings;
    let (tracer, _) = Tracer::new(settings.tracing.as_ref().unwrap(), None).unwrap();
    Bench::observed(document, None, Some(&tracer))
}

async fn ask(bench: &Bench, client: Version, fields: &[(&str, &str)]) {
    let mut ask = Request::get("http://web.test/");
    for (name, value) in fields {
        ask = ask.header(*name, *value);
    }
    let answer = bench.ask(client, ask.body(Content::default()).unwrap()).await;
    assert_eq!(answer.status(), 200);
}

fn value<'a>(head: &'a HeaderMap, name: &str) -> Option<&'a str> {
    assert!(head.get_all(name).iter().count() < 2, "{head:?}");
    head.get(name).map(|value| value.to_str().unwrap())
}

#[test]
fn a_recorded_request_goes_on_as_a_child_with_the_state_and_the_baggage_of_its_parent() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            let (server, heard) = hearing(endpoint).await;
            let bench = tracing(&document(endpoint.protocol(), [&server]), "sample: 0%");
            let parent = format!("00-{TRACE}-{SPAN}-01");
            let came = [
                ("traceparent", parent.as_str()),
                ("tracestate", "a=1"),
                ("baggage", "b=2"),
            ];
            ask(&bench, client, &came).await;
            let heads = heard.borrow();
            let onward = value(&heads[0], "traceparent").unwrap();
            assert!(
                onward.starts_with(&format!("00-{TRACE}-")) && onward.ends_with("-01"),
                "{onward}"
            );
            assert!(!onward.contains(SPAN), "{onward}");
            assert_eq!(value(&heads[0], "tracestate"), Some("a=1"));
            assert_eq!(value(&heads[0], "baggage"), Some("b=2"));
        }
    });
}

#[test]
fn a_request_that_nobody_has_decided_about_gets_a_decision() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            for (sample, flags) in [("0%", "-00"), ("100%", "-01")] {
                let (server, heard) = hearing(endpoint).await;
                let bench = tracing(&document(endpoint.protocol(), [&server]), &format!("sample: {sample}"));
                let malformed = format!("00-{}-{SPAN}-01", TRACE.to_uppercase());
                ask(&bench, client, &[]).await;
                ask(&bench, client, &[("traceparent", &malformed), ("tracestate", "a=1")]).await;
                let heads = heard.borrow();
                for head in &*heads {
                    let onward = value(head, "traceparent").unwrap();
                    assert!(
                        onward.len() == 55 && onward.starts_with("00-") && onward.ends_with(flags),
                        "{onward}"
                    );
                    assert_eq!(value(head, "tracestate"), None);
                }
                assert_ne!(heads[0]["traceparent"], heads[1]["traceparent"]);
            }
        }
    });
}

#[test]
fn without_tracing_and_where_a_parent_is_not_recorded_heads_stay_as_they_came() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            let (server, heard) = hearing(endpoint).await;
            let document = document(endpoint.protocol(), [&server]);
            let dropped = format!("00-{TRACE}-{SPAN}-00");
            ask(
                &tracing(&document, "sample: 100%"),
                client,
                &[("traceparent", &dropped), ("tracestate", "a=1")],
            )
            .await;
            let nonsense = [
                ("traceparent", "nonsense"),
                ("tracestate", "a"),
                ("b3", "x"),
                ("x-b3-traceid", "1"),
            ];
            ask(&Bench::new(&document), client, &nonsense).await;
            let heads = heard.borrow();
            assert_eq!(value(&heads[0], "traceparent"), Some(dropped.as_str()));
            assert_eq!(value(&heads[0], "tracestate"), Some("a=1"));
            for (name, came) in nonsense {
                assert_eq!(value(&heads[1], name), Some(came), "{client:?} to {endpoint:?}");
            }
        }
    });
}

#[test]
fn b3_goes_on_in_the_form_that_is_configured() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            let (server, heard) = hearing(endpoint).await;
            let document = document(endpoint.protocol(), [&server]);
            let several = [
                ("x-b3-traceid", TRACE),
                ("x-b3-spanid", SPAN),
                ("x-b3-parentspanid", SPAN),
                ("x-b3-sampled", "1"),
            ];
            ask(&tracing(&document, "propagation: b3_multi"), client, &several).await;
            let single = format!("{SPAN}-{SPAN}-d");
            ask(
                &tracing(&document, "propagation: b3"),
                client,
                &[("b3", &single), ("traceparent", "x")],
            )
            .await;
            let heads = heard.borrow();
            assert_eq!(value(&heads[0], "x-b3-traceid"), Some(TRACE));
            assert_eq!(value(&heads[0], "x-b3-sampled"), Some("1"));
            assert_eq!(value(&heads[0], "x-b3-parentspanid"), None);
            assert_ne!(value(&heads[0], "x-b3-spanid").unwrap(), SPAN);
            assert_eq!(value(&heads[0], "traceparent"), None);
            let onward = value(&heads[1], "b3").unwrap();
            assert!(
                onward.starts_with(&format!("{SPAN}-")) && onward.ends_with("-d"),
                "{onward}"
            );
            assert_eq!(onward.len(), single.len());
            assert_eq!(value(&heads[1], "traceparent"), Some("x"));
        }
    });
}

#[test]
fn a_route_may_take_the_context_away() {
    over_both_families(async || {
        for (client, endpoint) in PAIRINGS {
            let (server, heard) = hearing(endpoint).await;
            let plain = document(endpoint.protocol(), [&server]);
            let routes = "    routes: {http: [{request_headers: {remove: [traceparent]}, backends: [{service: web.test, port: 80}]}]}\n";
            let bench = tracing(&(plain + routes), "sample: 100%");
            ask(&bench, client, &[("traceparent", &format!("00-{TRACE}-{SPAN}-01"))]).await;
            assert_eq!(
                value(&heard.borrow()[0], "traceparent"),
                None,
                "{client:?} to {endpoint:?}"
            );
        }
    });
}

#[test]
fn every_attempt_is_told_the_same() {
    over_both_families(async || {
        for client in [Version::One, Version::Two] {
            let heard = Rc::<RefCell<Vec<HeaderMap>>>::default();
            let heads = Rc::clone(&heard);
            let server = Server::h2(async move |request, mut respond, number| {
                heads.borrow_mut().push(request.headers().clone());
                if number == 0 {
                    respond.send_reset(Reason::REFUSED_STREAM);
                } else {
                    respond.send_response(Response::new(()), true).unwrap();
                }
            })
            .await;
            let bench = tracing(&document("http2", [&server]), "sample: 100%");
            ask(&bench, client, &[("x-a", "1"), ("x-a", "2"), ("x-b", "3")]).await;
            let heads = heard.borrow();
            assert_eq!(heads.len(), 2, "{client:?}");
            assert_eq!(heads[0], heads[1], "{client:?}");
            assert!(value(&heads[0], "traceparent").unwrap().ends_with("-01"), "{client:?}");
            assert_eq!(heads[0].get_all("x-a").iter().count(), 2, "{client:?}");
        }
    });
}

#[test]
fn spans_that_nobody_takes_hold_no_request_up() {
    over_both_families(async || {
        let server = Server::answering(Version::One, |_| Answer::new(Content::default())).await;
        let section = "tracing: {collector: \"http://127.0.0.1:9\", sample: 100%}\n";
        let settings = mesh::load(section).unwrap().settings;
        // It has the other end of the queue, and takes nothing out of it.
        let (tracer, _exporter) = Tracer::new(settings.tracing.as_ref().unwrap(), None).unwrap();
        let bench = Bench::observed(&document("http", [&server]), None, Some(&tracer));
        let mut client = bench.http1().await;
        // The queue takes 4,096. Who waited for room in it would wait for ever.
        for _ in 0..4_096 + 10 {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert_eq!(client.message().await.status(), 200);
        }
        settle().await;
        assert_eq!(tracer.counts().overflowed(), 10);
    });
}
