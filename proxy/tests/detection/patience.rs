//! What no clock ends: clients that say nothing, and connections of which one half has ended. On a clock that stands still while
//! anybody has anything to do, an hour is nothing.

use std::time::Duration;

use tokio::time::sleep;

use crate::prologues;
use crate::prologues::Prologue;
use crate::prologues::Spoken;
use crate::road::Road;
use crate::road::run_on_a_paused_clock;
use crate::server::ANSWER;
use crate::server::Deed;
use crate::server::Servers;

const LONG: Duration = Duration::from_hours(1);

/// The first prologue of its kind.
fn speaking(spoken: Spoken) -> Prologue {
    let mut all = prologues::all().into_iter();
    all.find(|prologue| prologue.spoken == spoken).expect("a prologue")
}

#[test]
fn a_connection_whose_server_has_ended_its_half_is_carried_for_as_long_as_its_client_likes() {
    run_on_a_paused_clock(async || {
        let opaque = speaking(Spoken::Opaque);
        let servers = Servers::new(&opaque, Deed::Fin);
        let road = Road::in_process(&servers);
        let mut client = road.connect(b"").await;
        sleep(LONG).await;
        client.send(&opaque.bytes).await;
        client.finish().await;
        assert_eq!(client.rest().await.expect("an end"), b"");
        road.settle().await;
        assert_eq!(servers.served()[0].bytes, opaque.bytes);
    });
}

#[test]
fn a_connection_whose_client_has_ended_its_half_is_carried_for_as_long_as_its_server_likes() {
    run_on_a_paused_clock(async || {
        let opaque = speaking(Spoken::Opaque);
        let servers = Servers::new(&opaque, Deed::Silence);
        servers.think(LONG);
        let road = Road::in_process(&servers);
        let mut client = road.connect(&opaque.bytes).await;
        client.finish().await;
        assert_eq!(client.rest().await.expect("an end"), ANSWER);
    });
}

#[test]
fn a_client_that_has_said_nothing_for_an_hour_is_still_http() {
    run_on_a_paused_clock(async || {
        let http = speaking(Spoken::Http1);
        let road = Road::in_process(&Servers::new(&http, Deed::Silence));
        let mut client = road.connect(b"").await;
        sleep(LONG).await;
        client.send(&http.bytes).await;
        client.answer(Spoken::Http1, 1).await.expect("an answer");
    });
}
