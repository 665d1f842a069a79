//! What the codec under test makes of bytes, in the words of the oracle.

use evenkeel_proxy::protocol::http::h1;

use crate::dice::Dice;
use crate::oracle::Asked;
use crate::oracle::Body;
use crate::oracle::Fields;
use crate::oracle::Framing;
use crate::oracle::Limits;
use crate::oracle::Request;
use crate::oracle::Response;
use crate::oracle::Stop;
use crate::oracle::Target;
use crate::oracle::text;

/// Reads the request head that `bytes` begin with.
pub(crate) fn request(bytes: &[u8], limits: Limits) -> Result<Request, Stop> {
    let head = complete(h1::request(bytes, &head_limits(limits)))?;
    assert_eq!(h1::head_end(bytes, 0), Some(head.length));
    let form = match head.form {
        h1::TargetForm::Origin => "origin",
        h1::TargetForm::Absolute => "absolute",
        h1::TargetForm::Authority => "authority",
        h1::TargetForm::Asterisk => "asterisk",
    };
    Ok(Request {
        length: head.length,
        method: head.method.to_string(),
        target: text(head.target.of(bytes)),
        parts: Target {
            form,
            authority: head.authority(bytes).map(text),
            path: text(head.path(bytes)),
            query: head.query(bytes).map(text),
        },
        version: head.version.text().to_owned(),
        fields: fields(head.fields(bytes)),
        framing: framing(head.framing),
        persistent: head.persistent,
    })
}

/// Reads the response head that `bytes` begin with.
pub(crate) fn response(bytes: &[u8], asked: Asked, limits: Limits) -> Result<Response, Stop> {
    let asked = h1::Asked {
        head: asked.head,
        connect: asked.connect,
        upgrade: asked.upgrade,
    };
    let head = complete(h1::response(bytes, asked, &head_limits(limits)))?;
    assert_eq!(h1::head_end(bytes, 0), Some(head.length));
    Ok(Response {
        length: head.length,
        version: head.version.text().to_owned(),
        status: head.status.as_u16(),
        fields: fields(head.fields(bytes)),
        framing: framing(head.framing),
        persistent: head.persistent,
        tunnel: head.upgrade,
    })
}

/// Follows a body in pieces as a relay does that forwards it: its length.
pub(crate) fn relayed(mut body: h1::Body, bytes: &[u8], dice: &mut Dice) -> Result<usize, Stop> {
    let mut length = 0;
    for piece in pieces(bytes, dice) {
        length += body.scan(piece).map_err(refused)?.length;
    }
    if body.finish() { Ok(length) } else { Err(Stop::Partial) }
}

/// Follows a body in pieces as a relay does that frames it anew.
pub(crate) fn decoded(mut body: h1::Body, bytes: &[u8], dice: &mut Dice) -> Result<Body, Stop> {
    let (mut length, mut content) = (0, String::new());
    for mut piece in pieces(bytes, dice) {
        while !piece.is_empty() && !body.done() {
            let step = body.decode(piece).map_err(refused)?;
            content += &text(&piece[step.data]);
            length += step.consumed;
            piece = &piece[step.consumed..];
        }
    }
    let trailers = body.trailers().unwrap_or_default();
    let trailers = trailers
        .iter()
        .map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
    if !body.finish() {
        return Err(Stop::Partial);
    }
    Ok(Body {
        length,
        content,
        trailers: fields(trailers),
    })
}

/// All in one, or in pieces of random length.
fn pieces<'a>(bytes: &'a [u8], dice: &mut Dice) -> Vec<&'a [u8]> {
    let longest = dice.pick(&[1, 3, 9, bytes.len().max(1)]);
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(rest.len().min(longest - dice.roll(longest.min(9))));
        pieces.push(piece);
        rest = behind;
    }
    pieces
}

fn complete<T>(parsed: Result<h1::Parsed<T>, h1::Fault>) -> Result<T, Stop> {
    match parsed.map_err(refused)? {
        h1::Parsed::Complete(head) => Ok(head),
        h1::Parsed::Partial => Err(Stop::Partial),
    }
}

fn refused(fault: h1::Fault) -> Stop {
    Stop::Refused(fault.detail)
}

fn head_limits(limits: Limits) -> h1::HeadLimits {
    h1::HeadLimits {
        bytes: limits.bytes,
        fields: limits.fields,
    }
}

fn fields<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Fields {
    fields.map(|(name, value)| (text(name), text(value))).collect()
}

fn framing(framing: h1::Framing) -> Framing {
    match framing {
        h1::Framing::None => Framing::None,
        h1::Framing::Length(length) => Framing::Length(length),
        h1::Framing::Chunked => Framing::Chunked,
        h1::Framing::UntilClose => Framing::UntilClose,
    }
}

/// The codec's word for it.
pub(crate) fn framing_of(framing: Framing) -> h1::Framing {
    match framing {
        Framing::None => h1::Framing::None,
        Framing::Length(length) => h1::Framing::Length(length),
        Framing::Chunked => h1::Framing::Chunked,
        Framing::UntilClose => h1::Framing::UntilClose,
    }
}
