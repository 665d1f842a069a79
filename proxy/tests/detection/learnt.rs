//! What was learnt of a destination decides when a server is connected to, and nothing else.

use std::time::Duration;

use tokio::time::Instant;
use tokio::time::sleep;

use crate::prologues;
use crate::prologues::Prologue;
use crate::road::Road;
use crate::road::detections;
use crate::road::run_on_a_paused_clock;
use crate::road::speculations;
use crate::server::ANSWER;
use crate::server::Deed;
use crate::server::Servers;

/// After three clients that spoke first.
const PATIENCE: Duration = Duration::from_millis(50);

/// A destination to which clients have been known to speak first.
async fn convinced(prologue: &Prologue, deed: Deed) -> Road {
    let road = Road::in_process(&Servers::new(prologue, deed));
    for _ in 0..3 {
        let mut client = road.connect(&prologue.bytes).await;
        client
            .exactly(deed.words().len() + ANSWER.len())
            .await
            .expect("an answer");
    }
    assert_eq!(detections(&road.bench, "opaque"), 3);
    assert_eq!(speculations(&road.bench, "opened"), 0);
    road
}

fn redis() -> Prologue {
    let mut all = prologues::all().into_iter();
    all.find(|prologue| prologue.name == "redis-cli")
        .expect("a prologue of Redis")
}

#[test]
fn a_client_that_speaks_in_time_costs_no_connection_that_is_opened_ahead() {
    run_on_a_paused_clock(async || {
        let redis = redis();
        let road = convinced(&redis, Deed::Silence).await;
        let mut client = road.connect(b"").await;
        sleep(PATIENCE / 2).await;
        client.send(&redis.bytes).await;
        assert_eq!(client.exactly(ANSWER.len()).await.as_deref(), Ok(ANSWER));
        assert_eq!(speculations(&road.bench, "opened"), 0);
        assert_eq!(detections(&road.bench, "opaque"), 4);
    });
}

#[test]
fn a_server_that_speaks_first_all_the_same_is_heard_after_fifty_milliseconds_and_the_next_time_at_once() {
    run_on_a_paused_clock(async || {
        let banner = Deed::Banner.words();
        let road = convinced(&redis(), Deed::Banner).await;
        for wait in [PATIENCE, Duration::ZERO] {
            let began = Instant::now();
            let mut client = road.connect(b"").await;
            assert_eq!(client.exactly(banner.len()).await.as_deref(), Ok(banner));
            // The runtime's clock counts whole milliseconds.
            assert!(
                began.elapsed() <= wait + Duration::from_millis(1),
                "{:?}",
                began.elapsed()
            );
            assert!(began.elapsed() >= wait, "{:?}", began.elapsed());
        }
        assert_eq!(detections(&road.bench, "server_first"), 2);
    });
}
