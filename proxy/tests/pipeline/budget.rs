//! The retry budget: a fifth of the active requests and ten a second may be tried again, and what is forbidden fails as it
//! would have.

use crate::access_log::Page;
use crate::support::Bench;
use crate::support::ask::Answer;
use crate::support::ask::Ask;
use crate::support::ask::Content;
use crate::support::ask::Version;
use crate::support::document_of;
use crate::support::nobody;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::settle;
use crate::support::silent;
use crate::support::two;
use evenkeel_control_api::mesh::settings;
use evenkeel_control_api::mesh::settings::Lines;
use evenkeel_proxy::telemetry;
use evenkeel_proxy::telemetry::access_log::AccessLog;
use h2::Reason;
use http::Request;
use http::Response;
use std::cell::Cell;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::spawn_local;
use tokio::time::Instant;

const CLIENTS: [Version; 2] = [Version::One, Version::Two];

/// What a counter of requests stands at, over all its series.
fn counted(bench: &Bench, name: &str) -> usize {
    let page = telemetry::render(&[Arc::clone(&bench.context.book)], [], telemetry::Form::Prometheus);
    let series = format!("evenkeel_request_{name}_total{{");
    let values = page.lines().filter(|line| line.starts_with(&series));
    values
        .map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap())
        .sum()
}

/// Retries that a service may have had by now that nobody else asks.
fn earned(since: Instant) -> usize {
    10 + since.elapsed().as_millis() as usize / 100 + 1
}

fn get() -> Ask {
    Request::get("http://web.test/").body(Content::default()).unwrap()
}

/// A server of HTTP/2 that refuses every stream, and counts them.
async fn refusing() -> (Server, Rc<Cell<usize>>) {
    let streams = Rc::new(Cell::new(0));
    let count = Rc::clone(&streams);
    let server = Server::h2(async move |_, mut respond, _| {
        count.set(count.get() + 1);
        respond.send_reset(Reason::REFUSED_STREAM);
    });
    (server.await, streams)
}

#[test]
fn streams_that_are_refused_for_ever_are_tried_again_ten_times_a_second() {
    over_both_families(async || {
        for client in CLIENTS {
            let (server, streams) = refusing().await;
            let (bench, began) = (Bench::before("http2", &server), Instant::now());
            for _ in 0..40 {
                let answer = bench.ask(client, get()).await;
                assert_eq!(answer.status(), 503);
                assert_eq!(answer.headers()["x-evenkeel-reason"], "stream_refused");
            }
            let (retries, forbidden) = (counted(&bench, "retries"), counted(&bench, "retries_forbidden"));
            assert!((10..=earned(began)).contains(&retries), "{client:?}: {retries}");
            assert_eq!(streams.get(), 40 + retries, "{client:?}");
            // As it stood when the process began, for it is earned again as time goes by.
            let (cluster, _, _) = &bench.registry.all()[0];
            let stand = bench
                .registry
                .budget_if_known(cluster)
                .unwrap()
                .stand(0, Duration::ZERO);
            assert_eq!((stand.used, stand.left), (0, 0), "{client:?}");
            // A request is given up after two retries, or because the next is forbidden.
            assert!((40 - retries / 2..40).contains(&forbidden), "{client:?}: {forbidden}");
        }
    });
}

#[test]
fn endpoints_that_refuse_connections_are_tried_one_after_another_only_while_the_budget_lasts() {
    over_both_families(async || {
        for protocol in ["http", "http2"] {
            for client in CLIENTS {
                let dead = [nobody(), nobody(), nobody()];
                let bench = Bench::new(&document_of(protocol, dead.iter().map(|dead| dead.address)));
                let began = Instant::now();
                for _ in 0..40 {
                    let answer = bench.ask(client, get()).await;
                    assert_eq!(answer.headers()["x-evenkeel-reason"], "connect_refused");
                }
                let retries = counted(&bench, "retries");
                assert!(
                    (10..=earned(began)).contains(&retries),
                    "{protocol}, {client:?}: {retries}"
                );
                let all = bench.registry.all();
                let attempts: u64 = all
                    .iter()
                    .map(|(_, _, state)| state.failed.load(Ordering::Relaxed))
                    .sum();
                assert_eq!(attempts as usize, 40 + retries, "{protocol}, {client:?}");
                assert!(counted(&bench, "retries_forbidden") > 0, "{protocol}, {client:?}");
            }
        }
    });
}

#[test]
fn where_no_other_endpoint_is_nothing_is_tried_again_and_nothing_forbidden() {
    over_both_families(async || {
        for protocol in ["http", "http2"] {
            for client in CLIENTS {
                let dead = nobody();
                let bench = Bench::new(&document_of(protocol, [dead.address]));
                for _ in 0..20 {
                    assert_eq!(bench.ask(client, get()).await.status(), 503);
                }
                let told = (counted(&bench, "retries"), counted(&bench, "retries_forbidden"));
                assert_eq!(told, (0, 0), "{protocol}, {client:?}");
            }
        }
    });
}

#[test]
fn an_update_does_not_fill_the_budget_again() {
    over_both_families(async || {
        let (server, _) = refusing().await;
        let (bench, began) = (Bench::before("http2", &server), Instant::now());
        let text = document_of("http2", [server.address]);
        for algorithm in ["round_robin", "random", "peak_ewma", "least_request"] {
            bench.apply(&text.replace("round_robin", algorithm));
            for _ in 0..10 {
                assert_eq!(bench.ask(Version::Two, get()).await.status(), 503);
            }
        }
        let retries = counted(&bench, "retries");
        assert!((10..=earned(began)).contains(&retries), "{retries}");
    });
}

/// A server of HTTP/2 that refuses each request to `/again` once, and answers none before it may.
async fn slow(go: &Rc<Semaphore>) -> Server {
    let (go, refused) = (Rc::clone(go), Rc::new(Cell::new(0)));
    Server::h2(async move |request, mut respond, _| {
        if request.uri().path() == "/again" && refused.get() < AGAIN {
            refused.set(refused.get() + 1);
            // All of them are there before one is refused.
            while refused.get() < AGAIN {
                tokio::task::yield_now().await;
            }
            respond.send_reset(Reason::REFUSED_STREAM);
            return;
        }
        go.acquire().await.unwrap().forget();
        // The test may have seen enough.
        let _ = respond.send_response(Response::new(()), true);
    })
    .await
}

const AGAIN: usize = 60;
const OTHERS: usize = 100;

#[test]
fn a_fifth_of_the_active_requests_may_be_tried_again_at_once() {
    over_both_families(async || {
        let (go, began) = (Rc::new(Semaphore::new(0)), Instant::now());
        let server = slow(&go).await;
        let bench = Rc::new(Bench::before("http2", &server));
        let ask = |path: &'static str| {
            let bench = Rc::clone(&bench);
            spawn_local(async move { bench.http2().await.get(path).await.unwrap().status().as_u16() })
        };
        let mut tasks: Vec<_> = (0..OTHERS).map(|_| ask("/")).collect();
        tasks.extend((0..AGAIN).map(|_| ask("/again")));
        while counted(&bench, "retries") + counted(&bench, "retries_forbidden") < AGAIN {
            settle().await;
        }
        let (retries, forbidden) = (counted(&bench, "retries"), counted(&bench, "retries_forbidden"));
        go.add_permits(OTHERS + AGAIN);
        let mut answered = 0;
        for task in tasks {
            answered += usize::from(task.await.unwrap() == 200);
        }
        assert_eq!((answered, retries + forbidden), (OTHERS + retries, AGAIN));
        // A fifth of those that nobody refuses at least, and of all at most.
        let most = (OTHERS + AGAIN) / 5 + earned(began);
        assert!((OTHERS / 5..=most).contains(&retries), "{retries}");
    });
}

#[test]
fn a_retry_that_is_answered_makes_room_though_its_answer_goes_on() {
    over_both_families(async || {
        let open = Rc::new(RefCell::new(Vec::new()));
        let answers = Rc::clone(&open);
        let server = Server::h2(async move |_, mut respond, number| {
            if number % 2 == 0 {
                respond.send_reset(Reason::REFUSED_STREAM);
            } else {
                let send = respond.send_response(Response::new(()), false).unwrap();
                answers.borrow_mut().push(send);
            }
        });
        let server = server.await;
        let bench = Bench::before("http2", &server);
        let mut client = bench.http2().await;
        let mut streams = Vec::new();
        // More than are saved, and than a fifth of them.
        for _ in 0..30 {
            let (response, _) = client.open(two::request("GET", "/"), true).await;
            streams.push(response.await.unwrap());
        }
        let answered = streams.iter().filter(|answer| answer.status() == 200).count();
        assert!(answered >= 25, "{answered}");
    });
}

#[test]
fn streams_that_wait_for_one_connection_in_vain_are_one_failure() {
    over_both_families(async || {
        let dead = nobody();
        let server = Server::answering(Version::Two, |_| Answer::new(Content::default())).await;
        let bench = Bench::new(&document_of("http2", [dead.address, server.address]));
        let mut client = bench.http2().await;
        let mut answers = Vec::new();
        for _ in 0..80 {
            answers.push(client.open(two::request("POST", "/"), true).await.0);
        }
        for answer in answers {
            assert_eq!(answer.await.unwrap().status(), 200);
        }
        assert_eq!(counted(&bench, "retries_forbidden"), 0);
        assert!(counted(&bench, "retries") > 10, "more waited than the budget holds");
    });
}

/// Many times what the budget allows at once.
const CROWD: usize = 200;

/// Answers to a crowd that asks at the same time, each on a connection of its own.
async fn crowd(bench: &Rc<Bench>, client: Version) -> Vec<u16> {
    let ask = |_| {
        let bench = Rc::clone(bench);
        spawn_local(async move { bench.ask(client, get()).await.status().as_u16() })
    };
    let asked: Vec<_> = (0..CROWD).map(ask).collect();
    let mut answers = Vec::new();
    for answer in asked {
        answers.push(answer.await.unwrap());
    }
    answers
}

#[test]
fn an_endpoint_that_vanishes_under_two_hundred_requests_fails_none_of_them() {
    over_both_families(async || {
        for client in CLIENTS {
            for algorithm in ["round_robin", "peak_ewma"] {
                let vanished = silent().await;
                let one = Server::answering(client, |_| Answer::new(Content::default())).await;
                let other = Server::answering(client, |_| Answer::new(Content::default())).await;
                let text = document_of(client.protocol(), [one.address, vanished.address, other.address]);
                let text = text.replace("round_robin", algorithm) + "limits: {connect_timeout: 300ms}\n";
                let bench = Rc::new(Bench::new(&text));
                let answers = crowd(&bench, client).await;
                assert_eq!(answers, [200; CROWD], "{client:?}, {algorithm}");
                assert_eq!(counted(&bench, "retries_forbidden"), 0, "{client:?}, {algorithm}");
                assert!(
                    counted(&bench, "retries") >= CROWD / 5,
                    "as many were on their way there"
                );
            }
        }
    });
}

#[test]
fn endpoints_that_vanish_all_at_once_are_not_asked_by_everybody_one_after_another() {
    over_both_families(async || {
        for client in CLIENTS {
            for algorithm in ["round_robin", "peak_ewma"] {
                let vanished = [silent().await, silent().await, silent().await];
                let text = document_of(client.protocol(), vanished.iter().map(|server| server.address));
                let text = text.replace("round_robin", algorithm) + "limits: {connect_timeout: 300ms}\n";
                let bench = Rc::new(Bench::new(&text));
                let began = Instant::now();
                let answers = crowd(&bench, client).await;
                assert_eq!(answers, [503; CROWD], "{client:?}, {algorithm}");
                let (retries, forbidden) = (counted(&bench, "retries"), counted(&bench, "retries_forbidden"));
                // Those on their way to the first two may find the next not known to be dead, and that but once.
                let most = 2 * CROWD / 3 + CROWD / 5 + earned(began);
                assert!(retries <= most, "{client:?}, {algorithm}: {retries}");
                assert!(forbidden > 0, "{client:?}, {algorithm}");
            }
        }
    });
}

#[test]
fn a_dead_endpoint_fails_no_request_under_load() {
    over_both_families(async || {
        for version in CLIENTS {
            for algorithm in ["round_robin", "peak_ewma"] {
                let dead = nobody();
                let one = Server::answering(version, |_| Answer::new(Content::default())).await;
                let other = Server::answering(version, |_| Answer::new(Content::default())).await;
                let text = document_of(version.protocol(), [one.address, dead.address, other.address]);
                let bench = Rc::new(Bench::new(&text.replace("round_robin", algorithm)));
                let clients = (0..40).map(|_| {
                    let bench = Rc::clone(&bench);
                    spawn_local(async move {
                        for _ in 0..25 {
                            assert_eq!(bench.ask(version, get()).await.status(), 200);
                        }
                    })
                });
                for client in clients.collect::<Vec<_>>() {
                    client.await.unwrap();
                }
                assert_eq!(counted(&bench, "retries_forbidden"), 0, "{version:?}, {algorithm}");
            }
        }
    });
}

#[test]
fn the_access_log_tells_of_a_retry_that_was_forbidden() {
    over_both_families(async || {
        let (server, _) = refusing().await;
        let page = Page::default();
        let log = AccessLog::start(settings::AccessLog::all(Lines::Text), page.clone()).unwrap();
        let bench = Bench::logging(&document_of("http2", [server.address]), Some(&log));
        for _ in 0..20 {
            bench.ask(Version::One, get()).await;
        }
        settle().await;
        log.flush(Duration::from_secs(10));
        let page = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        assert_eq!(
            page.matches(" retry=forbidden ").count(),
            counted(&bench, "retries_forbidden")
        );
        assert!(page.contains(" attempts=3 retry=- ") && page.contains(" attempts=1 retry=forbidden "));
    });
}
