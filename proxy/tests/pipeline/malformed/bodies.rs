//! Bodies over HTTP/2 that do not end as they should: trailers that are none, and lengths that are not those of the body.

use super::Fields;
use super::REQUEST;
use super::Stage;
use crate::support::Bench;
use crate::support::ask::Version;
use crate::support::frames::DATA;
use crate::support::frames::END_STREAM;
use crate::support::frames::HEADERS;
use crate::support::frames::frame;
use crate::support::frames::head;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::wire::Wire;

/// Fields that no trailers may have.
const TRAILERS: &[Fields] = &[
    &[("x-sum", " 1")],
    &[("X-Sum", "1")],
    &[("x-sum", "1\n")],
    &[("connection", "x-sum")],
    &[("transfer-encoding", "chunked")],
];

#[test]
fn malformed_trailers_are_no_clean_end() {
    over_both_families(async || {
        for endpoint in [Version::One, Version::Two] {
            let stage = Stage::of(endpoint).await;
            for trailers in TRAILERS {
                let frames = [
                    head(0, 1, &REQUEST),
                    frame(DATA, 0, 1, b"some"),
                    head(END_STREAM, 1, trailers),
                ];
                stage.refuses(&frames.concat(), trailers).await;
            }
            // Trailers that do not end the stream (8.1).
            let frames = [
                head(0, 1, &REQUEST),
                frame(DATA, 0, 1, b"some"),
                head(0, 1, &[("x-sum", "1")]),
            ];
            stage.refuses(&frames.concat(), &"no end").await;
        }
        // An answer that ends so is no whole answer either.
        let server = Server::raw(async |stream, _| {
            let mut wire = Wire::new(stream);
            wire.accept_http2().await;
            let asked = wire.next(HEADERS).await.stream;
            wire.send(head(0, asked, &[(":status", "200")])).await;
            wire.send(frame(DATA, 0, asked, b"some")).await;
            wire.send(head(END_STREAM, asked, &[("x-sum", "1 ")])).await;
            while wire.next_frame().await.is_some() {}
        });
        let server = server.await;
        let bench = Bench::before("http2", &server);
        let mut client = bench.http1().await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let all = client.rest_lossy().await;
        assert!(
            all.starts_with(b"HTTP/1.1 200") && !all.ends_with(b"0\r\n\r\n"),
            "{}",
            all.escape_ascii()
        );
    });
}

#[test]
fn a_body_that_disagrees_with_its_length_is_no_request() {
    over_both_families(async || {
        for endpoint in [Version::One, Version::Two] {
            let stage = Stage::of(endpoint).await;
            let begun = head(0, 1, &[&REQUEST[..], &[("content-length", "5")]].concat());
            for body in ["", "four", "more than five"] {
                let frames = [&begun[..], &frame(DATA, END_STREAM, 1, body.as_bytes())].concat();
                stage.refuses(&frames, &body).await;
            }
            let trailers = head(END_STREAM, 1, &[("x-sum", "1")]);
            let frames = [&begun[..], &frame(DATA, 0, 1, b"four"), &trailers].concat();
            stage.refuses(&frames, &"trailers").await;
        }
    });
}
