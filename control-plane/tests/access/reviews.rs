//! Whom a token is from.

use crate::api::{ApiServer, Mood, client, pod_token, seconds, token};
use crate::until;
use evenkeel_control_api::serve::{Denied, Peer};
use evenkeel_control_plane::access::review::Reviews;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::time::Instant;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const HOUR: Duration = Duration::from_hours(1);

fn headers(token: &str) -> HeaderMap {
    HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse().unwrap())])
}

fn reviews(server: &ApiServer) -> Reviews {
    Reviews::new(server.client(), |_| true)
}

async fn ask(reviews: &Reviews, token: &str) -> Result<Peer, Denied> {
    reviews.authenticate(&headers(token)).await
}

#[tokio::test]
async fn a_pod_is_who_the_api_server_says_and_one_question_is_enough() {
    let server = ApiServer::start().await;
    let reviews = reviews(&server);
    let token = pod_token("web-0", HOUR);
    let mut askers = JoinSet::new();
    for _ in 0..50 {
        let (reviews, token) = (reviews.clone(), token.clone());
        askers.spawn(async move { ask(&reviews, &token).await });
    }
    let peer = Peer {
        namespace: "shop".to_owned(),
        pod: "web-0".to_owned(),
        uid: "uid-web-0".to_owned(),
        service_account: "web".to_owned(),
    };
    for answer in askers.join_all().await {
        assert_eq!(answer, Ok(peer.clone()));
    }
    assert_eq!(server.reviews(), 1);
    assert_eq!(ask(&reviews, &token).await, Ok(peer));
    assert_eq!((server.reviews(), reviews.counts().answered), (1, 1));
}

#[tokio::test]
async fn a_token_that_is_good_for_something_else_is_not_good() {
    let server = ApiServer::start().await;
    let reviews = reviews(&server);
    let exp = seconds(HOUR);
    for (claims, signature, reason) in [
        (
            json!({"exp": exp, "aud": "evenkeel", "pod": "web"}),
            "bad",
            "the signature is not good",
        ),
        (
            json!({"exp": exp, "aud": "others", "pod": "web"}),
            "good",
            "is invalid for the target audiences",
        ),
        (
            json!({"exp": exp, "aud": "", "pod": "web"}),
            "good",
            "it is meant for somebody else",
        ),
        (
            json!({"exp": exp, "aud": "evenkeel"}),
            "good",
            "it is not bound to a pod",
        ),
        (
            json!({"exp": exp, "aud": "evenkeel", "pod": ""}),
            "good",
            "it is not bound to a pod",
        ),
        (
            json!({"exp": exp, "aud": "evenkeel", "pod": "web", "user": "admin"}),
            "good",
            "it is not a ServiceAccount's",
        ),
        (
            json!({"exp": 1, "aud": "evenkeel", "pod": "web"}),
            "good",
            "token has expired",
        ),
    ] {
        let token = token(&claims, signature);
        for _ in 0..2 {
            let denied = ask(&reviews, &token).await;
            assert!(
                matches!(&denied, Err(Denied::Invalid(said)) if said.contains(reason)),
                "{denied:?}"
            );
        }
    }
    assert_eq!(server.reviews(), 7, "a bad token is asked about once");
    assert!(matches!(
        reviews.authenticate(&HeaderMap::new()).await,
        Err(Denied::Missing(_))
    ));
    assert!(matches!(ask(&reviews, "garbage").await, Err(Denied::Invalid(_))));
    assert_eq!(server.reviews(), 7, "nobody is asked about what is no token");
}

#[tokio::test]
async fn without_an_answer_nobody_new_comes_in_and_who_is_known_does_until_the_token_expires() {
    for life in [4, 16, 64].map(Duration::from_secs) {
        // A machine that stood still for the whole life of a token has shown nothing.
        if known_while_it_lives(life).await {
            return;
        }
    }
    panic!("no token lived long enough");
}

/// Whether there was time to see it.
async fn known_while_it_lives(life: Duration) -> bool {
    let server = ApiServer::start().await;
    let reviews = reviews(&server);
    let begun = Instant::now();
    let known = pod_token("web-0", life);
    let first = ask(&reviews, &known).await;
    server.mood(Mood::Broken);
    let new = pod_token("web-1", HOUR);
    assert!(matches!(ask(&reviews, &new).await, Err(Denied::Unavailable(_))));
    let second = ask(&reviews, &known).await;
    // Its end is told in whole seconds.
    if begun.elapsed() + Duration::from_secs(1) > life {
        return false;
    }
    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
    let expired = || without_asking(&reviews, &known).is_none_or(|answer| answer.is_err());
    until("it has expired", expired).await;
    assert!(matches!(ask(&reviews, &known).await, Err(Denied::Unavailable(_))));
    server.mood(Mood::Answers);
    assert!(ask(&reviews, &new).await.is_ok());
    assert!(matches!(ask(&reviews, &known).await, Err(Denied::Invalid(_))));
    assert!(reviews.counts().failed >= 2);
    true
}

/// What is known without asking; `None`: somebody has to be asked.
fn without_asking(reviews: &Reviews, token: &str) -> Option<Result<Peer, Denied>> {
    let headers = headers(token);
    let mut answer = std::pin::pin!(reviews.authenticate(&headers));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match answer.as_mut().poll(&mut context) {
        std::task::Poll::Ready(answer) => Some(answer),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test]
async fn an_api_server_that_is_away_or_silent_holds_nobody_for_ever() {
    let server = ApiServer::start().await;
    let reviews = reviews(&server);
    let known = pod_token("web-0", HOUR);
    assert!(ask(&reviews, &known).await.is_ok());
    server.mood(Mood::Silent);
    let new = pod_token("web-1", HOUR);
    let (unanswered, known) = tokio::join!(ask(&reviews, &new), ask(&reviews, &known));
    assert!(matches!(unanswered, Err(Denied::Unavailable(_))));
    assert!(known.is_ok());

    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let away = Reviews::new(client(format!("http://{address}").parse().unwrap()), |_| true);
    assert!(matches!(ask(&away, &new).await, Err(Denied::Unavailable(_))));
}

#[tokio::test]
async fn a_pod_that_is_not_known_here_may_come_again() {
    let server = ApiServer::start().await;
    let exists = Arc::new(AtomicBool::new(false));
    let there = Arc::clone(&exists);
    let reviews = Reviews::new(server.client(), move |peer| {
        assert_eq!(peer.uid, "uid-web-0");
        there.load(Ordering::Relaxed)
    });
    let token = pod_token("web-0", HOUR);
    assert!(matches!(ask(&reviews, &token).await, Err(Denied::Unavailable(_))));
    exists.store(true, Ordering::Relaxed);
    assert!(ask(&reviews, &token).await.is_ok());
    assert_eq!(server.reviews(), 1);
}
