use super::*;
use crate::failure::Reason;
use crate::telemetry::access_log::entry::Entry;
use crate::telemetry::access_log::sample::logged;
use evenkeel_control_api::mesh;
use evenkeel_control_api::mesh::template::NAMES;
use http::HeaderMap;
use http::StatusCode;
use std::time::Duration;

/// The lines of a template as a document has it.
fn lines(format: &str, template: &str) -> Lines {
    let document = format!("proxy:\n  access_log:\n    format: {format}\n    template: {template}\n");
    let loaded = mesh::load(&document).unwrap_or_else(|faults| panic!("{faults}"));
    loaded.settings.access_log.unwrap().lines
}

/// A request that all is known of.
fn request(lines: Lines) -> Box<Entry> {
    let mut entry = logged(lines);
    entry.ask("HTTP/2", b"GET", (b"/a", Some(b"b=1&c&b=2")), Some(b"web.test"));
    let head = [
        ("user-agent", "a \"b\" c"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ];
    entry.request(&map(&head));
    entry.route("the rule");
    entry.cluster(&"web.test:80".into(), &"outbound|80||web.test".into());
    entry.speak("HTTP/1.1");
    entry.reach(Some("10.0.0.2:8080".parse().unwrap()), 2);
    entry.answered(|| Duration::from_millis(30));
    let told = entry.wanted().unwrap().of_answer(&map(&[("server", "nginx")]));
    entry.answer(told);
    entry.trailers(&map(&[("grpc-message", "what?")]));
    entry.received(3);
    entry.sent(4);
    entry
}

fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let field = |(name, value): &(&'static str, &'static str)| (name.parse().unwrap(), value.parse().unwrap());
    fields.iter().map(field).collect()
}

fn outcome() -> Outcome {
    Outcome {
        status: Some(StatusCode::OK),
        grpc_status: Some(3),
        failure: None,
        duration: Duration::from_micros(45_999),
    }
}

fn line(lines: Lines, make: fn(Lines) -> Box<Entry>, outcome: &Outcome) -> String {
    let (form, entry) = (Form::compile(lines.clone()), make(lines));
    let mut out = Vec::new();
    form.write(&entry, outcome, &Clock::default(), &mut out);
    String::from_utf8(out).unwrap()
}

#[track_caller]
fn assert_written(template: &str, expected: &str) {
    let text = lines("text", &format!("\"{template}\""));
    assert_eq!(line(text, request, &outcome()), format!("{expected}\n"), "{template}");
}

#[test]
fn every_operator_gives_what_it_says() {
    for (template, expected) in [
        ("%START_TIME%", "1970-01-01T00:00:00.000Z"),
        ("%START_TIME(%Y %s)%", "1970 0"),
        ("%DURATION% %RESPONSE_DURATION% %RESPONSE_TX_DURATION%", "45 30 15"),
        ("%BYTES_RECEIVED% %BYTES_SENT%", "3 4"),
        ("%PROTOCOL% %UPSTREAM_PROTOCOL%", "HTTP/2 HTTP/1.1"),
        ("%RESPONSE_CODE% %RESPONSE_CODE_DETAILS%", "200 via_upstream"),
        ("%RESPONSE_FLAGS% %RESPONSE_FLAGS_LONG% %REASON%", "- - -"),
        ("%DIRECTION% %SERVICE% %ROUTE_NAME%", "outbound web:80 the rule"),
        (
            "%UPSTREAM_CLUSTER% %UPSTREAM_CLUSTER_RAW%",
            "web.test:80 outbound|80||web.test",
        ),
        ("%UPSTREAM_REQUEST_ATTEMPT_COUNT%", "2"),
        (
            "%UPSTREAM_HOST% %UPSTREAM_REMOTE_ADDRESS%",
            "10.0.0.2:8080 10.0.0.2:8080",
        ),
        (
            "%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %UPSTREAM_REMOTE_PORT%",
            "10.0.0.2 8080",
        ),
        (
            "%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS%",
            "10.0.0.1:4321 10.0.0.1:4321",
        ),
        (
            "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_REMOTE_PORT%",
            "10.0.0.1 4321",
        ),
        (
            "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT(16)% %DOWNSTREAM_DIRECT_REMOTE_PORT%",
            "10.0.0.0/16 4321",
        ),
        ("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(0)%", "0.0.0.0/0"),
        ("%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_PORT%", "[fd00::1]:80 80"),
        (
            "%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT(16)%",
            "fd00::1 fd00::/16",
        ),
        (
            "%REQUESTED_SERVER_NAME% %REQUESTED_SERVER_NAME(SNI_FIRST:HOST)%",
            "- web.test",
        ),
        (
            "%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS_NUMBER%",
            "InvalidArgument INVALID_ARGUMENT 3",
        ),
        (
            "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %REQUEST_HEADER(:authority)% %REQ(:scheme)%",
            "GET /a?b=1&c&b=2 web.test http",
        ),
        (
            "%REQ(User-Agent):3% %REQ(x-none?user-agent)% %REQ(x-none)%",
            "a \\\" a \\\"b\\\" c -",
        ),
        ("%RESP(server)% %RESPONSE_HEADER(x-none?server):1%", "nginx n"),
        ("%TRAILER(grpc-message)% %RESPONSE_TRAILER(x)%", "what? -"),
        ("%PATH% %PATH(NQ)% %PATH(WQ:PATH):2%", "/a?b=1&c&b=2 /a /a"),
        (
            "%QUERY_PARAMS% %QUERY_PARAM(b)% [%QUERY_PARAM(c)%] %QUERY_PARAM(d)%",
            "b=1&c&b=2 1 [] -",
        ),
        ("%TRACE_ID%", "0af7651916cd43dd8448eb211c80319c"),
        ("%ENVIRONMENT(EVENKEEL_NO_SUCH_VARIABLE)%", "-"),
        ("%ACCESS_LOG_TYPE% 100%%", "DownstreamEnd 100%"),
    ] {
        assert_written(template, expected);
    }
    let hostname = nix::unistd::gethostname().unwrap().into_string().unwrap();
    assert_written("%HOSTNAME%", &hostname);
    let path = std::env::var("PATH").unwrap();
    assert_written("%ENVIRONMENT(PATH)%", &path);
}

#[test]
fn every_operator_is_on_the_page() {
    let page = include_str!("../../../../../docs/access-log.md");
    for name in NAMES {
        assert!(
            page.contains(&format!("%{name}%`")) || page.contains(&format!("%{name}(")),
            "{name}"
        );
    }
}

#[test]
fn an_object_keeps_numbers_and_says_null_for_nothing() {
    let template = "{status: \"%RESPONSE_CODE%\", took: \"%DURATION%ms\", flags: \"%RESPONSE_FLAGS%\", none: \"(%REQ(x)%)\", \
                    request: {agent: \"%REQ(user-agent)%\", \"a \\\"key\\\"\": \"a\\\\b\\\"\"}, port: \"%DOWNSTREAM_REMOTE_PORT%\"}";
    let written = line(lines("json", template), request, &outcome());
    assert_eq!(written.matches('\n').count(), 1);
    let read: serde_json::Value = serde_json::from_str(&written).unwrap();
    let expected = serde_json::json!({
        "status": 200, "took": "45ms", "flags": null, "none": "(-)",
        "request": {"agent": "a \"b\" c", "a \"key\"": "a\\b\""}, "port": 4321,
    });
    assert_eq!(read, expected, "{written}");
}

#[test]
fn what_failed_has_envoys_flags_and_our_reason() {
    let lines = lines(
        "text",
        "\"%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_FLAGS_LONG% %RESPONSE_CODE_DETAILS% %REASON%\"",
    );
    let outcome = Outcome {
        status: Some(StatusCode::SERVICE_UNAVAILABLE),
        failure: Some(Reason::ConnectRefused),
        ..outcome()
    };
    assert_eq!(
        line(lines, request, &outcome),
        "503 UF,URX UpstreamConnectionFailure,UpstreamRetryLimitExceeded \
         upstream_reset_before_response_started{connection_failure} connect_refused\n"
    );
}

#[test]
fn an_opaque_connection_has_nothing_of_a_request() {
    let lines = lines(
        "text",
        "\"%ACCESS_LOG_TYPE% %PROTOCOL% %RESPONSE_CODE% %REQ(:METHOD)% %PATH% %REQUESTED_SERVER_NAME%\"",
    );
    let opaque = |lines| {
        let mut entry = logged(lines);
        entry.name(Some("db.test".to_owned()));
        entry
    };
    assert_eq!(
        line(lines, opaque, &Outcome::default()),
        "TcpConnectionEnd - - - - db.test\n"
    );
}

#[test]
fn a_request_without_an_answer_has_the_code_zero() {
    let lines = lines("text", "\"%RESPONSE_CODE% %RESPONSE_CODE_DETAILS%\"");
    let outcome = Outcome {
        status: None,
        failure: Some(Reason::DownstreamGone),
        ..outcome()
    };
    assert_eq!(line(lines, request, &outcome), "0 downstream_remote_disconnect\n");
}

#[test]
fn whatever_a_peer_sends_stays_on_its_line_and_in_its_quotes() {
    let hostile = |lines| {
        let mut entry = logged(lines);
        entry.ask("HTTP/1.1", b"GET", (b"/\"\n200 \xff", None), Some(b"\\"));
        entry
    };
    let text = lines("text", "'\"%PATH%\" %REQ(:authority)%'");
    assert_eq!(line(text, hostile, &outcome()), "\"/\\\"\\x0a200 \\xff\" \\\\\n");
    let json = lines("json", "{a: \"%PATH%\", b: \"<%PATH%>\"}");
    let read: serde_json::Value = serde_json::from_str(&line(json, hostile, &outcome())).unwrap();
    assert_eq!(
        read,
        serde_json::json!({"a": "/\"\\x0a200 \\xff", "b": "</\"\\x0a200 \\xff>"})
    );
}

#[test]
fn the_example_of_the_page_is_read() {
    let page = include_str!("../../../../../docs/access-log.md");
    let (_, rest) = page.split_once("```yaml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let loaded = mesh::load(example).unwrap_or_else(|faults| panic!("{faults}"));
    let log = loaded.settings.access_log.unwrap();
    assert_eq!((log.filter.sample, log.filter.status.len()), (Some(100_000), 2));
    let written = line(log.lines, request, &outcome());
    let read: serde_json::Value = serde_json::from_str(&written).unwrap();
    assert_eq!(
        (&read["request"]["method"], &read["took"]),
        (&"GET".into(), &"45 ms".into())
    );
}
