//! The parameter of REQ, RESP and TRAILER: `X?Y`, the second for where the first is not there.

use crate::resource::route::FieldName;
use http::HeaderName;

/// Which head or which trailers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderOf {
    /// The request's head, as the client sent it.
    Request,
    /// The answer's head, as the client gets it.
    Response,
    /// The answer's trailers.
    Trailers,
}

/// A field, or another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Of what.
    pub of: HeaderOf,
    /// This one.
    pub first: FieldName,
    /// Where that one is not there.
    pub second: Option<FieldName>,
}

impl Header {
    pub(super) fn parse(of: HeaderOf, text: &str) -> Result<Self, String> {
        let (first, second) = match text.split_once('?') {
            None => (text, None),
            Some((first, second)) => (first, Some(second)),
        };
        Ok(Self {
            of,
            first: field(of, first)?,
            second: second.map(|name| field(of, name)).transpose()?,
        })
    }
}

fn field(of: HeaderOf, name: &str) -> Result<FieldName, String> {
    let lower = name.to_ascii_lowercase();
    match (lower.as_str(), of) {
        (":method", HeaderOf::Request) => return Ok(FieldName::Method),
        (":path", HeaderOf::Request) => return Ok(FieldName::Path),
        (":authority" | "host", HeaderOf::Request) => return Ok(FieldName::Authority),
        (":scheme", HeaderOf::Request) => return Ok(FieldName::Scheme),
        (":status", HeaderOf::Response) => return Err("the status is %RESPONSE_CODE%".to_owned()),
        _ => {}
    }
    HeaderName::try_from(lower)
        .map(FieldName::Field)
        .map_err(|_| format!("{name:?} is not the name of a header"))
}
