//! The HTTP/1 codec beside a second parser: what one accepts the other accepts, and both read the same.
//!
//! `EVENKEEL_MESSAGES=1000000 cargo test -p evenkeel-proxy --test differential` asks for a million messages.

mod codec;
mod corpus;
mod dice;
mod oracle;

use std::fmt::Debug;

use dice::Dice;
use evenkeel_proxy::protocol::http::h1;
use oracle::Asked;
use oracle::Body;
use oracle::Fields;
use oracle::Framing;
use oracle::Limits;
use oracle::Stop;

/// Of both kinds, in an ordinary run: about two seconds of a debug build.
const MESSAGES: u64 = 100_000;
/// Small, so that they are met.
const LIMITS: Limits = Limits {
    bytes: 1024,
    fields: 20,
};
/// So many disagreements are shown.
const MOST_SHOWN: usize = 8;

/// How often both said the same.
#[derive(Debug, Default)]
struct Agreed {
    accepted: u64,
    partial: u64,
    refused: u64,
    whole_bodies: u64,
    broken_bodies: u64,
    trailers: u64,
}

#[test]
fn both_read_the_same_requests() {
    let agreed = compare(|dice, agreed| {
        let bytes = corpus::request(dice);
        let ours = codec::request(&bytes, LIMITS);
        let theirs = oracle::request(&oracle::text(&bytes), LIMITS);
        agreed.head(&ours, &theirs, &bytes)?;
        let Ok(head) = ours else { return Ok(()) };
        let body = || h1::Body::of_request(codec::framing_of(head.framing));
        agreed.body(body, head.framing, &bytes[head.length..], dice)
    });
    println!("{agreed:?}");
}

#[test]
fn both_read_the_same_responses() {
    let agreed = compare(|dice, agreed| {
        let bytes = corpus::response(dice);
        let asked = Asked {
            head: dice.one_in(5),
            connect: dice.one_in(9),
            upgrade: dice.one_in(2),
        };
        let ours = codec::response(&bytes, asked, LIMITS);
        let theirs = oracle::response(&oracle::text(&bytes), asked, LIMITS);
        agreed.head(&ours, &theirs, &bytes)?;
        let Ok(head) = ours else { return Ok(()) };
        let body = || h1::Body::of_response(codec::framing_of(head.framing));
        agreed.body(body, head.framing, &bytes[head.length..], dice)
    });
    println!("{agreed:?}");
}

/// Compares half of all messages, then shows every disagreement that there is room for.
fn compare(once: impl Fn(&mut Dice, &mut Agreed) -> Result<(), String>) -> Agreed {
    let messages = match std::env::var("EVENKEEL_MESSAGES") {
        Ok(messages) => messages.parse().expect("EVENKEEL_MESSAGES is a number"),
        Err(_) => MESSAGES,
    } / 2;
    let mut agreed = Agreed::default();
    let disagreements: Vec<String> = (0..messages)
        .filter_map(|seed| {
            let disagreement = once(&mut Dice::new(seed), &mut agreed).err()?;
            Some(format!("message {seed}: {disagreement}"))
        })
        .take(MOST_SHOWN)
        .collect();
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n\n"));
    let enough = |count: u64, share: u64| count > messages / share;
    assert!(
        enough(agreed.accepted, 4)
            && enough(agreed.refused, 4)
            && enough(agreed.partial, 50)
            && enough(agreed.whole_bodies, 12)
            && enough(agreed.broken_bodies, 50)
            && enough(agreed.trailers, 200),
        "too little of {messages} messages tests anything: {agreed:?}"
    );
    agreed
}

impl Agreed {
    fn head<T: Debug + PartialEq>(
        &mut self,
        ours: &Result<T, Stop>,
        theirs: &Result<T, Stop>,
        bytes: &[u8],
    ) -> Result<(), String> {
        same(ours, theirs, bytes)?;
        *match ours {
            Ok(_) => &mut self.accepted,
            Err(Stop::Partial) => &mut self.partial,
            Err(Stop::Refused(_)) => &mut self.refused,
        } += 1;
        Ok(())
    }

    fn body(
        &mut self,
        body: impl Fn() -> h1::Body,
        framing: Framing,
        bytes: &[u8],
        dice: &mut Dice,
    ) -> Result<(), String> {
        let theirs = oracle::body(&oracle::text(bytes), framing);
        let length = match &theirs {
            Ok(body) => Ok(body.length),
            Err(Stop::Partial) => Err(Stop::Partial),
            Err(Stop::Refused(detail)) => Err(Stop::Refused(detail)),
        };
        same(&codec::relayed(body(), bytes, dice), &length, bytes)?;
        let theirs = theirs.map(|body| Body {
            trailers: as_http_2_has_them(body.trailers),
            ..body
        });
        let ours = codec::decoded(body(), bytes, dice).map(|body| Body {
            trailers: as_http_2_has_them(body.trailers),
            ..body
        });
        same(&ours, &theirs, bytes)?;
        match ours {
            Ok(body) => {
                self.whole_bodies += u64::from(!body.content.is_empty());
                self.trailers += u64::from(!body.trailers.is_empty());
            }
            Err(Stop::Refused(_)) => self.broken_bodies += 1,
            Err(Stop::Partial) => {}
        }
        Ok(())
    }
}

/// Whether both came to the same, for whatever reason they refused.
fn same<T: Debug + PartialEq>(ours: &Result<T, Stop>, theirs: &Result<T, Stop>, bytes: &[u8]) -> Result<(), String> {
    let both_refuse = matches!((ours, theirs), (Err(Stop::Refused(_)), Err(Stop::Refused(_))));
    if both_refuse || ours == theirs {
        return Ok(());
    }
    let shown = bytes[..bytes.len().min(600)].escape_ascii();
    Err(format!("codec:  {ours:?}\noracle: {theirs:?}\nbytes:  {shown}"))
}

/// Names in lower case, in the order of a map, without what concerns one connection (RFC 9113 8.2.2).
fn as_http_2_has_them(trailers: Fields) -> Fields {
    let mut kept: Fields = trailers
        .into_iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .filter(|(name, _)| !["connection", "keep-alive", "proxy-connection", "upgrade", "te"].contains(&name.as_str()))
        .collect();
    kept.sort_by(|one, other| one.0.cmp(&other.0));
    kept
}
