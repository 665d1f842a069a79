use super::*;

/// What one body came to: the bytes of the message, and its content.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    length: usize,
    content: Vec<u8>,
    done: bool,
}

/// Feeds `pieces` of bytes to `scan`; how many of them were the message's.
fn scanned(framing: Framing, pieces: &[&[u8]]) -> Result<(usize, bool), Fault> {
    let mut body = Body::of_request(framing);
    let mut length = 0;
    for piece in pieces {
        let scan = body.scan(piece)?;
        length += scan.length;
        assert_eq!(scan.done, body.done());
        assert!(
            scan.length == piece.len() || scan.done,
            "only the end leaves bytes over"
        );
    }
    Ok((length, body.done()))
}

fn decoded(framing: Framing, pieces: &[&[u8]]) -> Result<(Read, Option<HeaderMap>), Fault> {
    let mut body = Body::of_request(framing);
    let mut read = Read {
        length: 0,
        content: Vec::new(),
        done: false,
    };
    for piece in pieces {
        let mut rest = *piece;
        loop {
            let step = body.decode(rest)?;
            read.length += step.consumed;
            read.content.extend_from_slice(&rest[step.data]);
            rest = &rest[step.consumed..];
            if step.end || step.consumed == 0 {
                break;
            }
        }
        assert!(rest.is_empty() || body.done(), "only the end leaves bytes over");
    }
    read.done = body.done();
    Ok((read, body.trailers()))
}

/// Reads `bytes` whole, in two pieces at every split, and byte by byte: always the same, and `scan` as `decode`.
fn read(framing: Framing, bytes: &[u8]) -> Result<(Vec<u8>, usize, bool, Option<HeaderMap>), Fault> {
    let whole = decoded(framing, &[bytes]);
    let singles: Vec<&[u8]> = bytes.chunks(1).collect();
    let mut splits: Vec<Vec<&[u8]>> = (0..=bytes.len()).map(|at| vec![&bytes[..at], &bytes[at..]]).collect();
    splits.extend([vec![bytes], singles]);
    for split in splits {
        let again = decoded(framing, &split);
        assert_eq!(again, whole, "decoding {split:?}");
        let expected = whole
            .as_ref()
            .map(|(read, _)| (read.length, read.done))
            .map_err(|fault| *fault);
        assert_eq!(scanned(framing, &split), expected, "scanning {split:?}");
    }
    whole.map(|(read, trailers)| (read.content, read.length, read.done, trailers))
}

fn chunked(text: &str) -> Result<(String, usize, bool), Fault> {
    let (content, length, done, _) = read(Framing::Chunked, text.as_bytes())?;
    Ok((String::from_utf8(content).unwrap(), length, done))
}

#[test]
fn a_sized_body_ends_where_it_says() {
    assert_eq!(
        read(Framing::Length(3), b"abcdef").unwrap(),
        (b"abc".to_vec(), 3, true, None)
    );
    assert_eq!(
        read(Framing::Length(3), b"ab").unwrap(),
        (b"ab".to_vec(), 2, false, None)
    );
    assert_eq!(read(Framing::Length(0), b"ab").unwrap(), (vec![], 0, true, None));
    assert_eq!(read(Framing::None, b"ab").unwrap(), (vec![], 0, true, None));
    assert_eq!(
        read(Framing::UntilClose, b"ab").unwrap(),
        (b"ab".to_vec(), 2, false, None)
    );
}

#[test]
fn only_a_body_without_a_declared_end_is_complete_when_the_connection_ends() {
    for (framing, bytes, complete) in [
        (Framing::None, &b""[..], true),
        (Framing::Length(0), b"", true),
        (Framing::Length(2), b"a", false),
        (Framing::Length(2), b"ab", true),
        (Framing::UntilClose, b"a", true),
        (Framing::Chunked, b"1\r\na\r\n", false),
        (Framing::Chunked, b"0\r\n", false),
        (Framing::Chunked, b"0\r\n\r\n", true),
    ] {
        let mut body = Body::of_response(framing);
        body.scan(bytes).unwrap();
        assert_eq!(body.finish(), complete, "{framing:?} {bytes:?}");
    }
}

#[test]
fn chunks_are_followed_to_their_end() {
    for (text, content, over) in [
        ("0\r\n\r\n", "", ""),
        ("5\r\nhello\r\n0\r\n\r\n", "hello", "GET / HTTP/1.1"),
        ("5\r\nhello\r\n6\r\n world\r\n000\r\n\r\n", "hello world", "\r\n"),
        ("A\r\n0\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n0\r\n\r\n", "x"),
        ("b;name=\"v;\"\r\nhello world\r\n0;last\r\n\r\n", "hello world", ""),
        ("5; a = \"\u{e9}\\\"\"\t;b\r\nhello\r\n0\r\n\r\n", "hello", ""),
        ("000000000000005\r\nhello\r\n0\r\n\r\n", "hello", ""),
        ("0\r\nX-Checksum: 1\r\nY:\r\n\r\n", "", "0\r\n\r\n"),
    ] {
        let bytes = format!("{text}{over}");
        assert_eq!(
            chunked(&bytes).unwrap(),
            (content.to_owned(), text.len(), true),
            "{bytes:?}"
        );
    }
    assert_eq!(chunked("5\r\nhel").unwrap(), ("hel".to_owned(), 6, false));
}

#[test]
fn chunk_framing_is_strict() {
    for (text, detail) in [
        ("\r\n", "a chunk without a size"),
        (" 5\r\n", "a chunk without a size"),
        ("+5\r\n", "a chunk without a size"),
        ("-5\r\n", "a chunk without a size"),
        (";a\r\n", "a chunk without a size"),
        ("g\r\n", "a chunk without a size"),
        ("0x5\r\n", "a chunk size that is not hexadecimal digits alone"),
        ("5 \r\n", "a chunk size that is not hexadecimal digits alone"),
        ("5_0\r\n", "a chunk size that is not hexadecimal digits alone"),
        ("5\nhello", "a chunk size that is not hexadecimal digits alone"),
        ("0000000000000005\r\n", "a chunk size that is too large"),
        ("fffffffffffffffff\r\n", "a chunk size that is too large"),
        ("5\rhello", "a chunk that does not end with CRLF"),
        ("5\r\nhello5\r\n", "a chunk that does not end with CRLF"),
        ("5\r\nhello\n0\r\n\r\n", "a chunk that does not end with CRLF"),
        ("5\r\nhello\r\r\n", "a chunk that does not end with CRLF"),
        ("5\r\nhello!\r\n", "a chunk that does not end with CRLF"),
        ("5;a\nhello", "a line feed without a carriage return in a chunk"),
        ("5;\0\r\n", "a byte in a chunk extension that may not stand there"),
        ("5;\u{fc}\r\n", "a byte in a chunk extension that may not stand there"),
        ("5;\r\n", "a byte in a chunk extension that may not stand there"),
        (
            "5;a=\"\r\nhello",
            "a byte in a chunk extension that may not stand there",
        ),
        ("5;a\r\r\n", "a chunk that does not end with CRLF"),
        ("0\r\n\n", "a line feed without a carriage return in the trailers"),
        ("0\r\nX: y\n", "a line feed without a carriage return in the trailers"),
        ("0\r\nX : y\r\n", "space between a field name and its colon"),
        ("0\r\nX: y\r\n z\r\n", "a folded line"),
        ("0\r\n\r\r\n", "a byte in a field name that is not of a token"),
        ("0\r\nX: \0\r\n", "a control byte in a field value"),
        ("0\r\nContent-Length: 5\r\n", "a framing field among the trailers"),
        (
            "0\r\ntransfer-encoding: chunked\r\n",
            "a framing field among the trailers",
        ),
        ("0\r\nHOST: a\r\n", "a framing field among the trailers"),
    ] {
        assert_eq!(
            chunked(text).expect_err(text),
            Fault::because(Reason::MalformedBody, detail),
            "{text:?}"
        );
    }
}

#[test]
fn extensions_and_trailers_are_bounded() {
    let refused = |text: String| {
        let mut body = Body::of_response(Framing::Chunked);
        let mut decoding = Body::of_response(Framing::Chunked);
        let verdicts = (body.scan(text.as_bytes()).err(), decoding.decode(text.as_bytes()).err());
        assert_eq!(verdicts.0, verdicts.1);
        verdicts.0
    };
    let fault = |detail| Some(Fault::because(Reason::MalformedResponse, detail));
    assert_eq!(refused(format!("5;{}\r\n", "x".repeat(256))), None);
    assert_eq!(
        refused(format!("5;{}\r\n", "x".repeat(257))),
        fault("a chunk extension that is too long")
    );
    assert_eq!(refused(format!("0\r\n{}\r\n", "X: y\r\n".repeat(100))), None);
    assert_eq!(
        refused(format!("0\r\n{}\r\n", "X: y\r\n".repeat(101))),
        fault("more than 100 trailers")
    );
    assert_eq!(
        refused(format!("0\r\nX: {}", "y".repeat(64 * 1024))),
        fault("trailers of more than 64 KiB")
    );
}

#[test]
fn trailers_are_kept_without_what_concerns_a_connection() {
    let text = "0\r\nGrpc-Status: 0\r\nConnection: x\r\nTE: trailers\r\nX-Sum: a\r\nx-sum: b\r\n\r\n";
    let (_, _, done, trailers) = read(Framing::Chunked, text.as_bytes()).unwrap();
    let trailers = trailers.expect("trailers");
    let fields: Vec<_> = trailers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    assert!(done);
    assert_eq!(fields, [("grpc-status", &b"0"[..]), ("x-sum", b"a"), ("x-sum", b"b")]);
}

#[test]
fn the_end_is_told_with_the_last_content() {
    let mut body = Body::of_request(Framing::Chunked);
    let bytes = b"5\r\nhello\r\n0\r\n\r\nnext";
    assert_eq!(
        body.decode(bytes).unwrap(),
        Decoded {
            consumed: 15,
            data: 3..8,
            end: true
        }
    );
}

#[test]
fn large_bodies_are_counted_without_overflow() {
    let mut body = Body::of_request(Framing::Length(i64::MAX as u64));
    assert_eq!(body.scan(b"abc").unwrap(), Scanned { length: 3, done: false });
    let mut body = Body::of_request(Framing::Chunked);
    assert_eq!(
        body.scan(b"fffffffffffffff\r\nabc").unwrap(),
        Scanned {
            length: 20,
            done: false
        }
    );
}
