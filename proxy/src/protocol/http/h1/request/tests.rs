//! Every request of these tests is parsed whole and at every split.

mod forwarding;
mod strictness;

use super::*;

const LIMITS: HeadLimits = HeadLimits {
    bytes: 64 * 1024,
    fields: 100,
};

/// Parses `text` whole, after checking that it says nothing else at any split.
fn parse(text: &str) -> Result<RequestHead, Fault> {
    let bytes = text.as_bytes();
    let whole = request(bytes, &LIMITS);
    for length in 0..bytes.len() {
        match (request(&bytes[..length], &LIMITS), &whole) {
            (Ok(Parsed::Partial), _) => {}
            (Err(early), Err(late)) => assert_eq!(early, *late, "{text:?} at {length}"),
            (Ok(Parsed::Complete(early)), Ok(Parsed::Complete(late))) => {
                assert!(length >= late.length, "{text:?} is complete at {length}");
                assert_eq!(early.length, late.length, "{text:?} at {length}");
            }
            (early, _) => panic!("{text:?} at {length}: {early:?} before {whole:?}"),
        }
    }
    match whole? {
        Parsed::Complete(head) => Ok(head),
        Parsed::Partial => panic!("{text:?} is not a whole head"),
    }
}

fn accepted(text: &str) -> RequestHead {
    parse(text).unwrap_or_else(|fault| panic!("{text:?}: {fault}"))
}

fn written(text: &str) -> String {
    let mut out = Vec::new();
    accepted(text).write_h1(text.as_bytes(), &mut out);
    String::from_utf8(out).unwrap()
}
