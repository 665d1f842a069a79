//! Messages by the thousand, most of them nearly right: what must hold for every one of them.

use super::*;

const LIMITS: HeadLimits = HeadLimits {
    bytes: 4096,
    fields: 20,
};
const MESSAGES: usize = 20_000;

const METHODS: &[&str] = &[
    "GET", "GET", "GET", "POST", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "PURGE", "G\tT", "",
];
const TARGETS: &[&str] = &[
    "/",
    "/",
    "/",
    "/a",
    "/a?b",
    "/a?b",
    "*",
    "http://b",
    "http://b:8/?c",
    "https://u@b/",
    "b:443",
    "/\u{fc}",
    "/a b",
    "/#",
    "//x/../y",
    "",
];
const VERSIONS: &[&str] = &[
    "HTTP/1.1",
    "HTTP/1.1",
    "HTTP/1.1",
    "HTTP/1.1",
    "HTTP/1.0",
    "HTTP/1.0",
    "HTTP/2.0",
    "HTTP/1.1 ",
];
const STATUSES: &[&str] = &[
    "200 OK",
    "200 OK",
    "204 No",
    "304 ",
    "100",
    "101 Up",
    "404 x",
    "426 y",
    "20 x",
    "999 \u{e9}",
];
const FIELDS: &[&str] = &[
    "Host: a",
    "host: b:80",
    "Content-Length: 5",
    "content-length: 0",
    "Content-Length: 5, 5",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: Chunked",
    "transfer-encoding: gzip, chunked",
    "TE: trailers",
    "Transfer-Encoding : chunked",
    "Connection: close",
    "Connection: keep-alive, x-a",
    "Connection: Upgrade, TE",
    "Upgrade: websocket",
    "Upgrade: h2c, foo",
    "X-A: 1",
    "x-a: 2",
    "X-B:\t3 ",
    "Keep-Alive: timeout=5",
    " folded",
    "HTTP2-Settings: AA",
    "Expect: 100-continue",
    "Cookie: a=b; c=d",
    "Content-Type: application/grpc",
    "X-Empty:",
    "Connection: content-length, host",
    "X-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\u{e9}aaaaaaaaaaa",
];
const BODIES: &[&str] = &[
    "hello",
    "5\r\nhello\r\n0\r\n\r\n",
    "1\r\na\r\n2;x=y\r\nbc\r\n0\r\nX-T: 1\r\n\r\n",
    "0\r\n\r\n",
    "5\r\nhello\n0\r\n\r\n",
    "a\r\n0\r\n\r\n0\r\n\r\nx\r\n0\r\nHost: x\r\n\r\n",
    "",
];

/// xorshift64: the same messages on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[self.roll(from.len())]
    }

    /// `start_line`, fields, and a body, with a mistake in every second of them.
    fn message(&mut self, start_line: &str) -> Vec<u8> {
        let host = if self.roll(4) == 0 { "" } else { "Host: a\r\n" };
        let mut bytes = format!("{start_line}\r\n{host}").into_bytes();
        for _ in 0..self.roll(7) {
            bytes.extend_from_slice(self.pick(FIELDS).as_bytes());
            bytes.extend_from_slice(if self.roll(40) == 0 { b"\n" } else { b"\r\n" });
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(self.pick(BODIES).as_bytes());
        if self.roll(2) == 0 {
            self.mutate(&mut bytes);
        }
        bytes
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        let place = self.roll(bytes.len());
        match self.roll(4) {
            0 => bytes[place] = self.roll(256) as u8,
            1 => bytes.insert(place, b" \t\r\n\0:,;\x7f\xff"[self.roll(10)]),
            2 => drop(bytes.remove(place)),
            _ => {
                let end = place + self.roll(bytes.len() - place + 1);
                let again = bytes[place..end].to_vec();
                bytes.splice(place..place, again);
            }
        }
    }
}

/// A head as the most lenient server reads it: any line end, any space, the case of names ignored.
fn leniently(head: &[u8], name: &str) -> Vec<String> {
    String::from_utf8_lossy(head)
        .split(['\r', '\n'])
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .filter(|(found, _)| found.trim().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim().to_owned())
        .collect()
}

fn assert_nobody_reads_it_otherwise(head: &[u8], framing: Framing) {
    let lengths = leniently(head, "content-length");
    let codings = leniently(head, "transfer-encoding");
    match framing {
        Framing::Length(length) => {
            assert!(
                codings.is_empty() && lengths.len() == 1 && lengths[0].parse() == Ok(length),
                "{lengths:?}"
            );
        }
        Framing::Chunked => {
            assert!(
                lengths.is_empty() && codings.len() == 1 && codings[0].eq_ignore_ascii_case("chunked"),
                "{codings:?}"
            );
        }
        Framing::None | Framing::UntilClose => assert!(lengths.len() + codings.len() <= 1),
    }
}

/// Follows a body twice, in pieces of random length: relayed as it is, and framed anew.
fn assert_one_end(framing: Framing, bytes: &[u8], dice: &mut Dice) {
    let pieces = |dice: &mut Dice| {
        let mut rest = bytes;
        std::iter::from_fn(move || {
            let (piece, behind) = rest.split_at(rest.len().min(1 + dice.roll(9)));
            rest = behind;
            (!piece.is_empty()).then_some(piece)
        })
        .collect::<Vec<_>>()
    };
    let mut body = Body::of_request(framing);
    let scanned = pieces(dice)
        .into_iter()
        .try_fold(0, |sum, piece| body.scan(piece).map(|scan| sum + scan.length));
    let scanned = scanned.map(|length| (length, body.done()));
    let mut body = Body::of_request(framing);
    let decoded = pieces(dice).into_iter().try_fold(0, |mut sum, mut piece| {
        loop {
            let step = body.decode(piece)?;
            assert!(step.data.start <= step.data.end && step.data.end <= step.consumed);
            sum += step.consumed;
            piece = &piece[step.consumed..];
            if piece.is_empty() || step.end {
                return Ok(sum);
            }
        }
    });
    assert_eq!(
        scanned,
        decoded.map(|length| (length, body.done())),
        "{framing:?} {:?}",
        String::from_utf8_lossy(bytes)
    );
}

#[test]
fn requests_that_are_accepted_mean_the_same_to_everyone() {
    let mut dice = Dice(0x5eed_0001);
    let mut accepted = 0;
    for _ in 0..MESSAGES {
        let line = format!("{} {} {}", dice.pick(METHODS), dice.pick(TARGETS), dice.pick(VERSIONS));
        let bytes = dice.message(&line);
        let whole = request(&bytes, &LIMITS);
        let early = request(&bytes[..dice.roll(bytes.len() + 1)], &LIMITS);
        match (early, &whole) {
            (Err(early), Err(late)) => assert_eq!(early, *late),
            (Ok(Parsed::Partial), _) | (Ok(Parsed::Complete(_)), Ok(Parsed::Complete(_))) => {}
            (early, _) => panic!("{early:?} before {whole:?}: {:?}", String::from_utf8_lossy(&bytes)),
        }
        let Ok(Parsed::Complete(head)) = whole else { continue };
        accepted += 1;
        assert_eq!(head_end(&bytes, 0), Some(head.length));
        assert_nobody_reads_it_otherwise(&bytes[..head.length], head.framing);
        assert_one_end(head.framing, &bytes[head.length..], &mut dice);
        assert_written_means_the_same(&head, &bytes);
        let Ok(http) = head.to_http(&bytes) else { continue };
        let mut out = Vec::new();
        write::request_head(&http.into_parts().0, head.framing, &mut out);
        let again = complete(&out);
        assert_eq!(
            (again.method.clone(), again.authority(&out)),
            (head.method.clone(), head.authority(&bytes))
        );
        let framed = if head.framing == Framing::None {
            again.framing
        } else {
            head.framing
        };
        assert_eq!(again.framing, framed);
    }
    assert!(accepted > MESSAGES / 20, "only {accepted} of {MESSAGES} test anything");
}

fn complete(bytes: &[u8]) -> RequestHead {
    // A head that was written may be a little longer than the one that was read.
    match request(
        bytes,
        &HeadLimits {
            bytes: 8192,
            fields: 30,
        },
    ) {
        Ok(Parsed::Complete(head)) => head,
        other => panic!("{other:?}: {:?}", String::from_utf8_lossy(bytes)),
    }
}

fn assert_written_means_the_same(head: &RequestHead, bytes: &[u8]) {
    let mut out = Vec::new();
    head.write_h1(bytes, &mut out);
    let again = complete(&out);
    assert_eq!(again.length, out.len());
    assert_eq!(again.version, head.upstream_version());
    assert_eq!(
        (again.method.clone(), again.framing),
        (head.method.clone(), head.framing)
    );
    assert_eq!(again.target.of(&out), head.target.of(bytes));
    assert_eq!(again.authority(&out), head.authority(bytes));
    assert_eq!((again.upgrade, again.te_trailers), (head.upgrade, head.te_trailers));
    assert_eq!((again.expect_continue, again.grpc), (head.expect_continue, head.grpc));
    assert!(leniently(&out, "keep-alive").is_empty() && leniently(&out, "http2-settings").is_empty());
    let mut twice = Vec::new();
    again.write_h1(&out, &mut twice);
    assert_eq!(
        twice.len(),
        out.len(),
        "written again it is the same but for the order of lines"
    );
}

#[test]
fn responses_that_are_accepted_mean_the_same_to_everyone() {
    let mut dice = Dice(0x5eed_0002);
    let mut accepted = 0;
    for _ in 0..MESSAGES {
        let line = format!("{} {}", dice.pick(VERSIONS), dice.pick(STATUSES));
        let bytes = dice.message(&line);
        let asked = Asked {
            head: dice.roll(5) == 0,
            connect: dice.roll(9) == 0,
            upgrade: dice.roll(2) == 0,
        };
        let whole = response(&bytes, asked, &LIMITS);
        if let Err(early) = response(&bytes[..dice.roll(bytes.len() + 1)], asked, &LIMITS) {
            assert_eq!(Some(early), whole.as_ref().err().copied());
        }
        let Ok(Parsed::Complete(head)) = whole else { continue };
        accepted += 1;
        assert_eq!(head_end(&bytes, 0), Some(head.length));
        assert_nobody_reads_it_otherwise(&bytes[..head.length], head.framing);
        assert_one_end(head.framing, &bytes[head.length..], &mut dice);
        for version in [Version::Http10, Version::Http11] {
            let mut out = Vec::new();
            let delivery = head.delivery(version);
            head.write_h1(
                &bytes,
                Downstream {
                    version,
                    persistent: true,
                    delivery,
                },
                &mut out,
            );
            let Ok(Parsed::Complete(again)) = response(
                &out,
                asked,
                &HeadLimits {
                    bytes: 8192,
                    fields: 30,
                },
            ) else {
                panic!("{:?}", String::from_utf8_lossy(&out))
            };
            assert_eq!(
                (again.length, again.status, again.upgrade),
                (out.len(), head.status, head.upgrade)
            );
            let framing = match delivery {
                Delivery::Verbatim => head.framing,
                Delivery::ToChunked => Framing::Chunked,
                Delivery::UntilClose => Framing::UntilClose,
            };
            assert_eq!(again.framing, framing);
            assert_eq!(again.persistent, framing != Framing::UntilClose && !again.upgrade);
        }
        head.to_http(&bytes).unwrap_or_else(|fault| panic!("{fault}"));
    }
    assert!(accepted > MESSAGES / 20, "only {accepted} of {MESSAGES} test anything");
}
