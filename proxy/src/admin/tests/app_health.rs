//! The kubelet's probes, with applications that are well, slow, broken or not there.

use super::Answer;
use super::House;
use super::ask;
use super::get;
use bytes::Bytes;
use rustls::ServerConfig;
use rustls::crypto::ring;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpSocket;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

const FAMILIES: [&str; 2] = ["127.0.0.1:0", "[::1]:0"];

/// What the kubelet is answered, asking a proxy whose application has this port.
async fn probed(family: &str, port: u16, question: &str) -> Answer {
    let question = question.replace("PORT", &port.to_string());
    let mesh = format!("proxy: {{app_health: [{{path: /app-health/web/liveness, {question}}}]}}\n");
    get(House::at(family, None, &mesh).telemetry, "/app-health/web/liveness").await
}

/// An application that answers every request with this, and tells what it was asked. Its port.
async fn application(family: &str, answer: &'static str) -> (u16, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind(family).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        // What is answered stays open: an application need not close.
        let mut open = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            serve(&mut stream, answer, &tell).await;
            open.push(stream);
        }
    });
    (port, told)
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, answer: &str, tell: &mpsc::UnboundedSender<String>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let _ = tell.send(String::from_utf8(head).unwrap());
    stream.write_all(answer.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn an_application_is_up_that_answers_with_200_to_399() {
    for family in FAMILIES {
        for (answer, status, sentence) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "is up"),
            (
                "HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n",
                200,
                "is up",
            ),
            (
                "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
                503,
                "it answered with status 404",
            ),
            (
                "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
                503,
                "it answered with status 500",
            ),
            ("SSH-2.0-OpenSSH_9.2\r\n", 503, "no proper answer: "),
            ("", 503, "no answer within 300 ms"),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no",
                503,
                "no answer within 300 ms",
            ),
        ] {
            let (port, _told) = application(family, answer).await;
            // Only what never comes is waited for in vain.
            let timeout = if sentence.starts_with("no answer") {
                "300ms"
            } else {
                "20s"
            };
            let found = probed(family, port, &format!("http: {{port: PORT}}, timeout: {timeout}")).await;
            assert_eq!(found.status, status, "{family}: {answer}: {}", found.body);
            assert!(found.body.contains(sentence), "{family}: {answer}: {}", found.body);
        }
    }
}

#[tokio::test]
async fn an_application_that_is_not_there_is_not_up_whatever_is_asked() {
    for family in FAMILIES {
        for question in [
            "http: {port: PORT}",
            "http: {port: PORT, scheme: https}",
            "tcp: {port: PORT}",
            "grpc: {port: PORT}",
        ] {
            // Bound, so that nobody else gets it, and nobody listens.
            let address: SocketAddr = family.parse().unwrap();
            let nobody = match address {
                SocketAddr::V4(_) => TcpSocket::new_v4(),
                SocketAddr::V6(_) => TcpSocket::new_v6(),
            };
            let nobody = nobody.unwrap();
            nobody.bind(address).unwrap();
            let port = nobody.local_addr().unwrap().port();
            let found = probed(family, port, question).await;
            assert_eq!(found.status, 503);
            assert!(found.body.contains("Connection refused"), "{question}: {}", found.body);
        }
    }
}

#[tokio::test]
async fn an_application_that_accepts_is_up_for_a_probe_of_tcp() {
    for family in FAMILIES {
        let listener = TcpListener::bind(family).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(probed(family, port, "tcp: {port: PORT}").await.status, 200);
    }
}

#[tokio::test]
async fn the_application_is_asked_what_the_kubelet_would_have_asked() {
    let (port, mut told) = application("127.0.0.1:0", "HTTP/1.1 204 No Content\r\n\r\n").await;
    probed("127.0.0.1:0", port, "http: {port: PORT}").await;
    let plain = told.recv().await.unwrap();
    assert!(plain.starts_with("GET / HTTP/1.1\r\n"), "{plain}");
    assert!(plain.contains(&format!("host: 127.0.0.1:{port}\r\n")), "{plain}");
    assert!(plain.contains("connection: close\r\n"), "{plain}");

    let question = "http: {port: PORT, path: '/ok?full=1', host: web.shop, headers: [{name: Accept, value: text/plain}, \
                    {name: X-A, value: '1'}, {name: X-A, value: '2'}]}";
    probed("127.0.0.1:0", port, question).await;
    let dressed = told.recv().await.unwrap();
    assert!(dressed.starts_with("GET /ok?full=1 HTTP/1.1\r\n"), "{dressed}");
    for line in ["host: web.shop", "accept: text/plain", "x-a: 1", "x-a: 2"] {
        assert_eq!(dressed.matches(&format!("\r\n{line}\r\n")).count(), 1, "{dressed}");
    }
    assert!(!dressed.contains("*/*"), "{dressed}");
}

#[tokio::test]
async fn nothing_is_asked_that_is_not_configured() {
    let (port, mut told) = application("127.0.0.1:0", "HTTP/1.1 200 OK\r\n\r\n").await;
    let mesh = format!("proxy: {{app_health: [{{path: /app-health/web/liveness, http: {{port: {port}}}}}]}}\n");
    let house = House::at("127.0.0.1:0", None, &mesh);
    for path in [
        "/app-health/web/readiness",
        "/app-health/web/liveness/",
        "/app-health/",
        "/app-health/web/liveness%2F",
        "/app-health",
    ] {
        assert_eq!(get(house.telemetry, path).await.status, 404, "{path}");
    }
    let admin = get(house.admin, "/app-health/web/liveness").await;
    assert_eq!(
        admin.status, 404,
        "the address that it would be asked at is not the pod's"
    );
    let posted = ask(house.telemetry, "POST", "/app-health/web/liveness", "").await;
    assert_eq!(posted.status, 405);
    assert!(told.try_recv().is_err(), "the application was asked nothing");
}

#[tokio::test]
async fn an_application_over_tls_is_up_whatever_its_certificate() {
    let own = rcgen::generate_simple_self_signed(["somebody.else".to_owned()]).unwrap();
    let key = own.signing_key.serialize_der().try_into().unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    for family in FAMILIES {
        let listener = TcpListener::bind(family).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let (tell, _told) = mpsc::unbounded_channel();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let asked = stream.get_ref().1.server_name().map(str::to_owned);
                    let answer = match asked.as_deref() {
                        None => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                        Some(_) => "HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\n\r\n",
                    };
                    serve(&mut stream, answer, &tell).await;
                }
            }
        });
        let question = "http: {port: PORT, scheme: https}, timeout: 10s";
        let found = probed(family, port, question).await;
        assert_eq!(found.status, 200, "{}", found.body);
        let question = "http: {port: PORT, scheme: https, host: 'web.shop:8443'}, timeout: 10s";
        let found = probed(family, port, question).await;
        assert!(
            found.body.contains("status 421"),
            "its name was asked for: {}",
            found.body
        );

        let (plain, _told) = application(family, "HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let found = probed(family, plain, "http: {port: PORT, scheme: https}, timeout: 300ms").await;
        assert_eq!(found.status, 503, "{}", found.body);
    }
}

/// A server of gRPC: for each call the message that it answers with, and the status.
async fn grpc(family: &str, message: &'static [u8], status: &'static str) -> u16 {
    let listener = TcpListener::bind(family).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
                assert_eq!(request.headers()["content-type"], "application/grpc");
                let head = http::Response::builder().header("content-type", "application/grpc");
                if message.is_empty() {
                    let head = head.header("grpc-status", status).body(()).unwrap();
                    respond.send_response(head, true).unwrap();
                    continue;
                }
                let mut body = respond.send_response(head.body(()).unwrap(), false).unwrap();
                body.send_data(Bytes::from_static(message), false).unwrap();
                let trailers = [("grpc-status".parse().unwrap(), status.parse().unwrap())];
                body.send_trailers(trailers.into_iter().collect()).unwrap();
            }
        }
    });
    port
}

#[tokio::test]
async fn a_server_of_grpc_is_up_that_says_that_it_serves() {
    for family in FAMILIES {
        for (message, status, answer, sentence) in [
            (&[0, 0, 0, 0, 2, 8, 1][..], "0", 200, "is up"),
            (&[0, 0, 0, 0, 2, 8, 2], "0", 503, "it says NOT_SERVING"),
            (&[0, 0, 0, 0, 0], "0", 503, "it says UNKNOWN"),
            (&[0, 0, 0, 0, 2, 8, 1], "13", 503, "ended with status 13"),
            (&[], "12", 503, "ended with status 12"),
            (&[1, 2, 3], "0", 503, "no proper answer: "),
        ] {
            let port = grpc(family, message, status).await;
            let found = probed(family, port, "grpc: {port: PORT, service: shop.Orders}, timeout: 10s").await;
            assert_eq!(found.status, answer, "{message:?} {status}: {}", found.body);
            assert!(found.body.contains(sentence), "{message:?} {status}: {}", found.body);
        }
        let (plain, _told) = application(family, "HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let found = probed(family, plain, "grpc: {port: PORT}, timeout: 300ms").await;
        assert_eq!(found.status, 503, "{}", found.body);
    }
}

#[tokio::test]
async fn many_probes_of_an_application_that_hangs_leave_the_other_pages_alone() {
    let (port, _told) = application("127.0.0.1:0", "").await;
    let mesh = format!(
        "proxy: {{app_health: [{{path: /app-health/web/liveness, http: {{port: {port}}}, timeout: 500ms}}]}}\n"
    );
    let house = House::at("127.0.0.1:0", None, &mesh);
    let at = house.telemetry;
    let probes: Vec<_> = (0..40)
        .map(|_| tokio::spawn(get(at, "/app-health/web/liveness")))
        .collect();
    assert_eq!(get(house.telemetry, "/live").await.status, 200);
    let mut crowded = 0;
    for probe in probes {
        let found = probe.await.unwrap();
        assert_eq!(found.status, 503, "{}", found.body);
        crowded += usize::from(found.body.contains("more than 16 probes at once"));
    }
    assert!((1..=24).contains(&crowded), "{crowded} of 40");
}
