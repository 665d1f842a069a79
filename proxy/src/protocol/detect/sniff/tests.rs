use super::prologues::PROLOGUES;
use super::*;

const UNDECLARED: Evidence = Evidence { http_required: false };
const REQUIRED: Evidence = Evidence { http_required: true };

/// A `ClientHello` in one record.
fn hello(name: Option<&[u8]>, alpn: &[&[u8]]) -> Vec<u8> {
    let mut extensions = vec![0x0a, 0x0a, 0, 0];
    if let Some(name) = name {
        let list = [&[0][..], &sized(2, name)].concat();
        extensions.extend([&[0, 0][..], &sized(2, &sized(2, &list))].concat());
    }
    if !alpn.is_empty() {
        let list: Vec<u8> = alpn.iter().flat_map(|protocol| sized(1, protocol)).collect();
        extensions.extend([&[0, 16][..], &sized(2, &sized(2, &list))].concat());
    }
    let body = [
        &[3, 3][..],
        &[7; 32],
        &sized(1, &[9; 32]),
        &sized(2, &[0x13, 1]),
        &sized(1, &[0]),
        &sized(2, &extensions),
    ]
    .concat();
    [&[0x16, 3, 1][..], &sized(2, &[&[1][..], &sized(3, &body)].concat())].concat()
}

fn sized(width: usize, content: &[u8]) -> Vec<u8> {
    [&content.len().to_be_bytes()[8 - width..], content].concat()
}

/// The verdict of a client whose bytes come one by one, and at which byte it was.
fn dribbled(bytes: &[u8], evidence: Evidence) -> (Sniffed, usize) {
    (0..=bytes.len())
        .map(|length| (client(&bytes[..length], &evidence), length))
        .find(|(verdict, _)| *verdict != Sniffed::NeedMore)
        .unwrap_or((Sniffed::NeedMore, bytes.len()))
}

fn prologues() -> impl Iterator<Item = (&'static [u8], Sniffed)> {
    PROLOGUES
        .iter()
        .flat_map(|(verdict, all)| all.iter().map(|bytes| (*bytes, *verdict)))
}

/// Labels apart: those are told by what there is.
fn same(one: Sniffed, other: Sniffed) -> bool {
    one == other || matches!((one, other), (Sniffed::Opaque(_), Sniffed::Opaque(_)))
}

#[test]
fn every_prologue_is_told_however_it_is_split() {
    for (bytes, verdict) in prologues() {
        let (first, at) = dribbled(bytes, UNDECLARED);
        assert!(same(first, verdict), "{:?}: {first:?}", String::from_utf8_lossy(bytes));
        assert_eq!(client(bytes, &UNDECLARED), verdict, "{bytes:?}");
        for length in at..=bytes.len() {
            let sniffed = client(&bytes[..length], &UNDECLARED);
            assert!(same(sniffed, verdict), "{bytes:?} at {length}: {sniffed:?}");
        }
        let with_more = [bytes, &[0xff; 64]].concat();
        assert!(same(client(&with_more, &UNDECLARED), verdict), "{bytes:?} and more");
    }
}

#[test]
fn a_client_that_waits_for_its_answer_is_not_waited_for() {
    for bytes in [
        &b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"[..],
        b"HELLO",
        b"FOO",
        b"\x10",
        b"\0\0",
        b"*",
        b"get key",
    ] {
        assert!(matches!(client(bytes, &UNDECLARED), Sniffed::Opaque(_)), "{bytes:?}");
    }
    assert_eq!(client(b"FOO /a HTTP/1.1\r\n", &REQUIRED), Sniffed::Http1);
    assert_eq!(client(b"M-SEARCH * HTTP/1.1\r\n", &UNDECLARED), Sniffed::Http1);
}

#[test]
fn where_http_is_declared_a_line_that_is_no_request_is_refused_and_what_is_no_text_is_relayed() {
    for (bytes, verdict) in prologues() {
        let required = client(bytes, &REQUIRED);
        match verdict {
            Sniffed::Opaque(_) if bytes == b"\r\n" => assert_eq!(required, Sniffed::NeedMore),
            Sniffed::Opaque(_) => {
                let told = matches!(required, Sniffed::BadHttp(_) | Sniffed::Opaque(_));
                assert!(told, "{bytes:?}: {required:?}");
            }
            other => assert_eq!(required, other, "{bytes:?}"),
        }
    }
    for bytes in [&b"GET key\r\n"[..], b"QUIT\r\n"] {
        assert_eq!(
            client(bytes, &REQUIRED),
            Sniffed::BadHttp(Reason::MalformedRequest),
            "{bytes:?}"
        );
    }
    for bytes in [&b"\x00\x00"[..], b"GET /\0"] {
        assert_eq!(client(bytes, &REQUIRED), Sniffed::Opaque(Hint::Unknown), "{bytes:?}");
    }
    assert_eq!(client(b"\r\nGET / HTTP/1.1\r\n", &REQUIRED), Sniffed::Http1);
}

#[test]
fn http_1_is_decided_at_its_first_line_feed() {
    assert_eq!(
        dribbled(b"GET /a HTTP/1.1\r\nHost: a\r\n", UNDECLARED),
        (Sniffed::Http1, 17)
    );
    assert_eq!(
        dribbled(b"GET /a HTTP/1.1\nHost: a\n", UNDECLARED),
        (Sniffed::Http1, 16)
    );
}

#[test]
fn a_line_without_an_end_is_waited_for_up_to_64_kib() {
    let line = [&b"GET /"[..], &vec![b'a'; 70_000]].concat();
    let ending_in_cr = [&line[..65_535], b"\r\n"].concat();
    for bytes in [&line, &ending_in_cr] {
        assert_eq!(client(&bytes[..65_535], &UNDECLARED), Sniffed::NeedMore);
        assert_eq!(client(&bytes[..65_536], &UNDECLARED), Sniffed::Opaque(Hint::Unknown));
        assert_eq!(
            client(&bytes[..65_536], &REQUIRED),
            Sniffed::BadHttp(Reason::HeadTooLarge)
        );
    }
}

#[test]
fn an_impossible_byte_decides_at_once() {
    for (bytes, at) in [
        (&b"\xff\xff\xff"[..], 1),
        (b"GET\x01", 4),
        (b"GET /\x00", 6),
        (b"*2\r\nfoo", 1),
        (b"AMQP\x01", 2),
        (b"\x16\x03\x05", 3),
        (b"\x00\x00\x00\x00", 1),
    ] {
        let padded = [bytes, &[0xff; 20]].concat();
        assert_eq!(
            dribbled(&padded, UNDECLARED),
            (Sniffed::Opaque(Hint::Unknown), at),
            "{bytes:?}"
        );
    }
}

#[test]
fn no_verdict_is_taken_back() {
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    let mut roll = move |sides: usize| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        (dice % sides as u64) as usize
    };
    let prologues: Vec<&[u8]> = prologues().map(|(bytes, _)| bytes).collect();
    for _ in 0..20_000 {
        // The beginning of one, a byte of noise or none, the rest of another.
        let (first, second) = (prologues[roll(prologues.len())], prologues[roll(prologues.len())]);
        let mut bytes = first[..roll(first.len() + 1)].to_vec();
        bytes.extend((0..roll(2)).map(|_| roll(256) as u8));
        bytes.extend(&second[roll(second.len() + 1)..]);
        for evidence in [UNDECLARED, REQUIRED] {
            let (verdict, at) = dribbled(&bytes, evidence);
            for length in at..=bytes.len() {
                let sniffed = client(&bytes[..length], &evidence);
                assert!(
                    same(sniffed, verdict),
                    "{bytes:?} at {length}: {sniffed:?}, at {at} it was {verdict:?}"
                );
            }
        }
        let spoken = (0..=bytes.len())
            .map(|length| server(&bytes[..length]))
            .collect::<Vec<_>>();
        let decided = spoken
            .iter()
            .position(|verdict| *verdict != ServerSpoke::NeedMore)
            .unwrap_or(spoken.len());
        for verdict in &spoken[decided..] {
            let same = std::mem::discriminant(verdict) == std::mem::discriminant(&spoken[decided]);
            assert!(same, "{bytes:?}: {spoken:?}");
        }
        let peeked = (0..=bytes.len())
            .map(|length| client_hello(&bytes[..length]))
            .collect::<Vec<_>>();
        let decided = peeked
            .iter()
            .position(|verdict| *verdict != ClientHello::NeedMore)
            .unwrap_or(peeked.len());
        assert!(
            peeked[decided..].iter().all(|verdict| *verdict == peeked[decided]),
            "{bytes:?}"
        );
    }
}

#[test]
fn what_a_client_first_server_says_first_is_held() {
    for bytes in [
        &b"HTTP/1.1 408 Request Timeout\r\n"[..],
        b"HTTP/1.0 400 Bad\r\n",
        b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03",
        include_bytes!("captures/grpc-server.bin"),
    ] {
        assert_eq!(server(bytes), ServerSpoke::Held, "{bytes:?}");
        let held = (0..bytes.len()).find(|length| server(&bytes[..*length]) == ServerSpoke::Held);
        let decided = held.unwrap_or(bytes.len());
        assert!(
            (0..decided).all(|length| server(&bytes[..length]) == ServerSpoke::NeedMore),
            "{bytes:?}"
        );
    }
}

#[test]
fn greetings_of_servers_that_speak_first_are_told() {
    for (bytes, hint) in [
        (&include_bytes!("captures/mariadb-server.bin")[..], ServerHint::Mysql),
        (include_bytes!("captures/dropbear.bin"), ServerHint::Ssh),
        (include_bytes!("captures/aiosmtpd.bin"), ServerHint::Smtp),
        (include_bytes!("captures/nats-server.bin"), ServerHint::Nats),
        (b"\x17\x00\x00\x00\xff\x10\x04Too many", ServerHint::Mysql),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", ServerHint::Ssh),
        (b"220 mail ESMTP\r\n", ServerHint::Smtp),
        (b"220-ftp\r\n", ServerHint::Smtp),
        (b"INFO {\"server_id\":1}\r\n", ServerHint::Nats),
        (b"+OK ready\r\n", ServerHint::Pop3),
        (b"* OK IMAP4rev1\r\n", ServerHint::Imap),
        (b"HTTQ", ServerHint::Unknown),
        (b"ICY 200 OK\r\n", ServerHint::Unknown),
        // SETTINGS that cannot be the first of a connection.
        (b"\x00\x00\x05\x04\x00\x00\x00\x00\x00", ServerHint::Unknown),
        (b"\x00\x00\x00\x04\x01\x00\x00\x00\x00", ServerHint::Unknown),
        (b"\x00\x00\x00\x04\x00\x00\x00\x00\x01", ServerHint::Unknown),
        (b"\x00\x00\x08\x07\x00\x00\x00\x00\x00", ServerHint::Unknown),
    ] {
        assert_eq!(server(bytes), ServerSpoke::ServerFirst(hint), "{bytes:?}");
    }
}

#[test]
fn a_greeting_waits_for_no_label() {
    assert_eq!(server(b"2"), ServerSpoke::ServerFirst(ServerHint::Unknown));
    assert_eq!(server(b"\x64"), ServerSpoke::ServerFirst(ServerHint::Unknown));
}

#[test]
fn the_server_name_and_the_protocols_are_read() {
    let bytes = hello(Some(b"Shop.Example-1.COM"), &[b"h2", b"http/1.1", b"\x0a\x0a"]);
    let expected = Hello {
        sni: Some("shop.example-1.com".to_owned()),
        alpn: vec!["h2".to_owned(), "http/1.1".to_owned()],
    };
    assert_eq!(client_hello(&bytes), ClientHello::Complete(expected));
    assert_eq!(client_hello(&hello(None, &[])), ClientHello::Complete(Hello::default()));
    for length in 0..bytes.len() {
        assert_eq!(client_hello(&bytes[..length]), ClientHello::NeedMore, "at {length}");
    }
}

#[test]
fn a_hello_may_span_records() {
    let whole = hello(Some(b"a.example"), &[b"h2"]);
    let message = &whole[5..];
    let expected = client_hello(&whole);
    for size in [1, 3, 4, 50] {
        let split: Vec<u8> = message
            .chunks(size)
            .flat_map(|piece| [&[0x16, 3, 3][..], &sized(2, piece)].concat())
            .collect();
        assert_eq!(client_hello(&split), expected, "records of {size}");
    }
}

#[test]
fn names_that_are_no_host_names_are_not_believed() {
    for name in [
        &b""[..],
        b"a..b",
        b".a",
        b"a.",
        b"-a",
        b"a-.b",
        b"a_b",
        b"a b",
        b"a\0b",
        b"\xc3\xbc",
        b"10.0.0.1",
        b"::1",
        b"a/b",
        &[b'a'; 64],
        &[b"a.".as_slice(); 127].concat(),
    ] {
        let ClientHello::Complete(found) = client_hello(&hello(Some(name), &[])) else {
            panic!("{name:?}")
        };
        assert_eq!(found.sni, None, "{name:?}");
    }
}

#[test]
fn broken_hellos_are_refused() {
    let whole = hello(Some(b"a.example"), &[b"h2"]);
    // A length that reaches past the message: session, ciphers, extensions.
    for place in [9 + 2 + 32, 9 + 2 + 32 + 1 + 32] {
        let mut bytes = whole.clone();
        bytes[place] = 0xff;
        assert!(matches!(client_hello(&bytes), ClientHello::Refused(_)), "{place}");
    }
    for bytes in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"\x16\x02\x00",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\x7f\xff",
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
        b"\x16\x03\x01\x00\x04\x01\x00\x7f\xff",
        b"\x15\x03\x01\x00\x02\x01\x00",
    ] {
        assert!(matches!(client_hello(bytes), ClientHello::Refused(_)), "{bytes:?}");
    }
    // Records of one byte, without an end in sight.
    let dribble = [
        &b"\x16\x03\x01\x00\x04\x01\x00\x3f\xff"[..],
        &b"\x16\x03\x01\x00\x01x".repeat(3_000),
    ]
    .concat();
    assert!(matches!(client_hello(&dribble), ClientHello::Refused(_)));
    assert_eq!(client_hello(&dribble[..16_000]), ClientHello::NeedMore);
}
