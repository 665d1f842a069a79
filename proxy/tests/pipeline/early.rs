//! Answers that come before their request is complete.

use crate::support::Bench;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::two;
use crate::support::wire::Wire;
use http::Response;

/// An upload that nobody wants.
const LENGTH: usize = 50 << 20;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// Sends as much of it as is taken.
async fn upload(client: &mut Wire) -> usize {
    client
        .send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LENGTH}\r\n\r\n"
        ))
        .await;
    let block = vec![b'x'; 1 << 20];
    let mut count = 0;
    while count < LENGTH && client.try_send(&block).await.is_ok() {
        count += block.len();
    }
    count
}

#[test]
fn an_early_answer_is_read_by_a_client_that_is_still_sending() {
    over_both_families(async || {
        let server = Server::h1(async |mut wire, _| {
            wire.head().await;
            wire.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
                .await;
            wire.finish().await;
        });
        let server = server.await;
        let bench = Bench::before("http", &server);
        let mut client = bench.http1().await;
        let count = upload(&mut client).await;
        let answer = client.message().await;
        assert_eq!((answer.status(), answer.text()), (413, "big"), "after {count} bytes");
        assert_eq!(answer.field("connection"), Some("close"));

        let mut client = bench.http2().await;
        let (response, mut send) = client.open(two::request("POST", "/"), false).await;
        send.send_data(vec![b'x'; LENGTH].into(), true).unwrap();
        let answer = two::whole(response.await.unwrap()).await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.body().bytes[..]), (413, &b"big"[..]));
    });
}

#[test]
fn an_early_answer_of_an_http2_endpoint_is_read_as_well() {
    over_both_families(async || {
        let server = Server::h2(async |_, mut respond, _| {
            let mut answer = Response::new(());
            *answer.status_mut() = http::StatusCode::PAYLOAD_TOO_LARGE;
            respond.send_response(answer, true).unwrap();
        });
        let server = server.await;
        let bench = Bench::before("http2", &server);
        let mut client = bench.http1().await;
        upload(&mut client).await;
        let answer = client.message().await;
        assert_eq!((answer.status(), answer.field("connection")), (413, Some("close")));

        let mut client = bench.http2().await;
        let (response, mut send) = client.open(two::request("POST", "/"), false).await;
        send.send_data(vec![b'x'; LENGTH].into(), true).unwrap();
        assert_eq!(response.await.unwrap().status(), 413);
        assert_eq!(client.get("/").await.unwrap().status(), 413);
    });
}

#[test]
fn an_endpoint_that_answers_early_and_goes_on_reading_gets_the_rest() {
    over_both_families(async || {
        let server = Server::h1(async |mut wire, _| {
            while wire.next_head().await.is_some() {
                wire.send(OK).await;
                assert_eq!(wire.exactly(5).await, b"hello");
            }
        });
        let server = server.await;
        let bench = Bench::before("http", &server);
        let mut client = bench.http1().await;
        for _ in 0..3 {
            client
                .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe")
                .await;
            assert_eq!(client.message().await.status(), 200);
            client.send("llo").await;
        }
        assert_eq!(server.accepted(), 1);
    });
}

#[test]
fn nothing_follows_an_expectation_that_failed() {
    over_both_families(async || {
        let server = Server::h1(async |mut wire, _| {
            while wire.next_head().await.is_some() {
                wire.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
                    .await;
            }
        });
        let server = server.await;
        let mut client = Bench::before("http", &server).http1().await;
        client
            .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
            .await;
        // Kept, the connection would carry the next request, or the body after all: nobody could tell which.
        let answer = client.message().await;
        assert_eq!(answer.status(), 417);
        assert_eq!(answer.field("connection"), Some("close"));
    });
}

#[test]
fn an_early_answer_with_a_body_is_complete_although_the_stream_is_reset_behind_it() {
    over_both_families(async || {
        let server = Server::h2(async |_, mut respond, _| {
            let mut send = respond.send_response(Response::new(()), false).unwrap();
            send.send_data("enough".into(), true).unwrap();
        });
        let server = server.await;
        let bench = Bench::before("http2", &server);
        let mut client = bench.http1().await;
        client
            .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
            .await;
        assert_eq!(client.message().await.text(), "enough");
        let (response, _send) = bench.http2().await.open(two::request("POST", "/"), false).await;
        let answer = two::whole(response.await.unwrap()).await.unwrap();
        assert_eq!(answer.body().bytes, "enough");
    });
}
