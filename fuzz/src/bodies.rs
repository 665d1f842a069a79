//! Bodies: one end and one content, however the bytes are split and whether they are relayed or framed anew.

use evenkeel_proxy::protocol::http::h1::Body;
use evenkeel_proxy::protocol::http::h1::Fault;
use evenkeel_proxy::protocol::http::h1::Framing;
use evenkeel_proxy::protocol::http::h1::write;
use http::HeaderMap;

/// What a body came to.
#[derive(Debug, PartialEq, Eq)]
struct Followed {
    /// Bytes of the message.
    length: usize,
    done: bool,
    content: Vec<u8>,
    trailers: Option<HeaderMap>,
}

/// A connection that goes on with a chunked body.
pub fn chunked_body(bytes: &[u8]) {
    let whole = decoded(bytes, bytes.len());
    let ends = |followed: &Followed| (followed.length, followed.done);
    for size in [1, 3, bytes.len()] {
        assert_eq!(decoded(bytes, size), whole, "decoded in pieces of {size}");
        let expected = whole.as_ref().map(ends).map_err(|fault| *fault);
        assert_eq!(scanned(bytes, size), expected, "relayed in pieces of {size}");
    }
    if let Ok(followed) = whole
        && followed.done
    {
        assert_framed_anew_is_the_same(followed);
    }
}

/// A connection that goes on with a trailer section.
pub fn trailers(bytes: &[u8]) {
    let bytes = [b"0\r\n", bytes].concat();
    chunked_body(&bytes);
    let Ok(followed) = decoded(&bytes, bytes.len()) else {
        return;
    };
    assert!(followed.content.is_empty());
    for name in followed.trailers.iter().flat_map(HeaderMap::keys) {
        let refused = [
            "content-length",
            "transfer-encoding",
            "host",
            "connection",
            "upgrade",
            "te",
        ];
        assert!(!refused.contains(&name.as_str()), "{name} among the trailers");
    }
}

fn scanned(bytes: &[u8], size: usize) -> Result<(usize, bool), Fault> {
    let mut body = Body::of_request(Framing::Chunked);
    let mut length = 0;
    for piece in bytes.chunks(size.max(1)) {
        let scan = body.scan(piece)?;
        length += scan.length;
        assert!(
            scan.length == piece.len() || scan.done,
            "only the end leaves bytes over"
        );
    }
    Ok((length, body.done()))
}

fn decoded(bytes: &[u8], size: usize) -> Result<Followed, Fault> {
    let mut body = Body::of_request(Framing::Chunked);
    let (mut length, mut content) = (0, Vec::new());
    for mut piece in bytes.chunks(size.max(1)) {
        while !piece.is_empty() && !body.done() {
            let step = body.decode(piece)?;
            assert!(step.consumed > 0, "no progress");
            content.extend_from_slice(&piece[step.data]);
            length += step.consumed;
            piece = &piece[step.consumed..];
        }
    }
    Ok(Followed {
        length,
        done: body.done(),
        content,
        trailers: body.trailers(),
    })
}

fn assert_framed_anew_is_the_same(followed: Followed) {
    let mut out = Vec::new();
    if !followed.content.is_empty() {
        write::chunk_header(followed.content.len(), &mut out);
        out.extend_from_slice(&followed.content);
        out.extend_from_slice(write::CHUNK_END);
    }
    write::last_chunk(followed.trailers.as_ref(), &mut out);
    let again = decoded(&out, out.len()).unwrap_or_else(|fault| panic!("framed anew: {fault}"));
    // Of HTTP/2 there is none in HTTP/1, so that it goes no further.
    let trailers = followed.trailers.map(|mut trailers| {
        trailers.remove("http2-settings");
        trailers
    });
    let expected = Followed {
        length: out.len(),
        trailers: trailers.filter(|trailers| !trailers.is_empty()),
        ..followed
    };
    assert_eq!(again, expected, "framed anew");
}
