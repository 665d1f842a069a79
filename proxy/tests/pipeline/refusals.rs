//! Heads that are refused, and that no upstream sees.

use crate::support::Bench;
use crate::support::over_both_families;
use crate::support::server::Server;
use crate::support::two;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[test]
fn a_request_whose_framing_is_doubtful_is_refused_and_no_upstream_sees_it() {
    over_both_families(async || {
        let server = Server::saying(OK).await;
        let bench = Bench::before("auto", &server);
        let doubtful = [
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: +5\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "Transfer-Encoding : chunked\r\n",
            "Content-Length: 5\n",
            "X-Folded: a\r\n b\r\n",
            "X-Null: a\0b\r\n",
            "Host: second\r\n",
        ];
        for fields in doubtful {
            let mut client = bench.http1().await;
            client
                .send(format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n0\r\n\r\n"))
                .await;
            let answer = client.message().await;
            assert_eq!(answer.status(), 400, "{fields:?}");
            assert_eq!(answer.field("x-evenkeel-reason"), Some("malformed_request"));
            assert_eq!(answer.field("connection"), Some("close"));
            assert!(client.rest().await.unwrap().is_empty());
        }
        let mut client = bench.http1().await;
        client.send("GET / HTTP/1.1\r\n\r\n").await;
        assert_eq!(client.message().await.status(), 400);
        assert_eq!(server.accepted(), 0);
    });
}

#[test]
fn a_coding_that_nobody_here_knows_is_not_implemented() {
    over_both_families(async || {
        let server = Server::saying(OK).await;
        let bench = Bench::before("http", &server);
        let mut client = bench.http1().await;
        client
            .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")
            .await;
        assert_eq!(client.message().await.status(), 501);
    });
}

#[test]
fn heads_beyond_the_limits_are_refused_in_both_versions() {
    over_both_families(async || {
        let server = Server::saying(OK).await;
        let bench = Bench::before("http", &server);
        let large = "x".repeat(70_000);
        let mut client = bench.http1().await;
        client
            .send(format!("GET / HTTP/1.1\r\nHost: a\r\nX-Large: {large}\r\n\r\n"))
            .await;
        assert_eq!(client.message().await.status(), 431);
        let many = "X: 1\r\n".repeat(101);
        let mut client = bench.http1().await;
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n")).await;
        assert_eq!(client.message().await.status(), 431);

        let mut request = two::get("/");
        request.headers_mut().insert("x-large", large.parse().unwrap());
        let mut client = bench.http2().await;
        let (response, _) = client.open(request, true).await;
        assert_eq!(response.await.unwrap().status(), 431);
        let mut request = two::get("/");
        for _ in 0..101 {
            request.headers_mut().append("x", "1".parse().unwrap());
        }
        let (response, _) = client.open(request, true).await;
        assert_eq!(response.await.unwrap().status(), 431);
        assert_eq!(client.get("/").await.unwrap().status(), 200);
    });
}
