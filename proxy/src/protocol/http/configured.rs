//! Answers that stand in the configuration: redirects and direct responses. They are no failures.

use super::h1::Framing;
use super::h1::write::{self, Client as Reader};
use super::own::grpc_head;
use crate::failure::Reason;
use crate::route::{Answer, AnswerKind, Ask, Full};
use crate::telemetry::RequestRecord;
use bytes::Bytes;
use h2::server::SendResponse;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use std::fmt::Write;

/// An answer to one request.
pub(super) struct Configured {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Configured {
    pub(super) fn new(answer: &Answer, ask: &Ask<'_>) -> Result<Self, Reason> {
        let mut headers = HeaderMap::new();
        if let Some(location) = answer.location(ask) {
            // It is made of a target and an authority that are here, and of what is configured.
            let location = HeaderValue::from_maybe_shared(Bytes::from(location));
            headers.insert(LOCATION, location.map_err(|_| Reason::MalformedRequest)?);
        }
        let body = match &answer.kind {
            AnswerKind::Redirect(_) => Bytes::new(),
            AnswerKind::Respond(response) => response.body.clone(),
        };
        if !body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        }
        answer
            .response
            .apply(&mut headers)
            .map_err(|Full| Reason::HeadTooLarge)?;
        Ok(Self {
            status: answer.status(),
            headers,
            body,
        })
    }

    /// Whether an answer with this status says how long its body is (RFC 9110 8.6).
    fn has_length(&self) -> bool {
        !matches!(self.status.as_u16(), 204 | 304)
    }

    /// Appends the answer for a client of HTTP/1.
    pub(super) fn write_http1(&self, reader: Reader, out: &mut Vec<u8>) {
        let framing = if self.has_length() {
            Framing::Length(self.body.len() as u64)
        } else {
            Framing::None
        };
        write::response_head(
            self.status,
            &self.headers,
            framing,
            reader.version,
            reader.persistent,
            out,
        );
        if !reader.head {
            out.extend_from_slice(&self.body);
        }
    }

    /// Answers a stream. A client of gRPC gets a status of its own kind, as from Envoy.
    pub(super) fn answer_http2(
        mut self,
        respond: &mut SendResponse<Bytes>,
        (grpc, bodiless): (bool, bool),
        record: &mut RequestRecord,
    ) {
        record.answered_by_configuration();
        if grpc {
            let status = grpc_status(self.status);
            let mut response = grpc_head(status, &percent_encoded(&self.body));
            self.headers.remove(CONTENT_TYPE);
            response.headers_mut().extend(self.headers);
            record.set_status(StatusCode::OK);
            record.set_grpc_status(u32::from(status));
            // A stream that is over has nobody who waits for the answer.
            let _ = respond.send_response(response, true);
            return;
        }
        record.set_status(self.status);
        let mut response = Response::new(());
        *response.status_mut() = self.status;
        if self.has_length() {
            self.headers.insert(CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        }
        *response.headers_mut() = self.headers;
        let bodiless = bodiless || self.body.is_empty();
        if let Ok(mut body) = respond.send_response(response, bodiless)
            && !bodiless
        {
            record.response_bytes(self.body.len() as u64);
            let _ = body.send_data(self.body, true);
        }
    }
}

/// gRPC's `http-grpc-status-mapping.md`.
fn grpc_status(status: StatusCode) -> u8 {
    match status.as_u16() {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => 14,
        _ => 2,
    }
}

/// As `grpc-message` wants it.
fn percent_encoded(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text {
        match byte {
            b' '..=b'~' if *byte != b'%' => out.push(char::from(*byte)),
            // A string takes whatever is written to it.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_grpc_is_ascii() {
        assert_eq!(percent_encoded("50% ü\n".as_bytes()), "50%25 %C3%BC%0A");
    }
}
