//! What pages are answered with.

use super::format::Format;
use super::watchers::Events;
use bytes::Bytes;
use http_body_util::Either;
use http_body_util::Full;
use hyper::Response;
use hyper::StatusCode;
use hyper::header;
use serde::Serialize;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// A page that is there, or one that goes on.
pub(super) type Written = Either<Full<Bytes>, Events>;

/// What is answered, and what happens once it was.
pub(super) struct Answer {
    pub(super) response: Response<Written>,
    pub(super) then: Then,
}

/// What happens after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Nothing.
    GoOn,
    /// The process ends.
    Quit,
}

/// In words, or as JSON where that is asked for.
pub(super) fn either<T: Serialize>(format: Option<Format>, page: &T, in_words: impl FnOnce(&T) -> String) -> Answer {
    match format {
        Some(Format::Json) => match serde_json::to_value(page) {
            Ok(value) => json(&value),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
        },
        Some(Format::Text | Format::Html) | None => text(StatusCode::OK, &in_words(page)),
    }
}

/// A page in words.
pub(super) fn text(status: StatusCode, body: &str) -> Answer {
    whole(status, TEXT, body.to_owned())
}

/// A page for programs.
pub(super) fn json(value: &serde_json::Value) -> Answer {
    whole(StatusCode::OK, JSON, format!("{value:#}\n"))
}

/// A page that is there.
pub(super) fn whole(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    headed(status, content_type, Either::Left(Full::new(body.into())))
}

/// What comes under the fields that all pages have: nothing of it is kept, guessed at, or shown inside of another page.
pub(super) fn headed(status: StatusCode, content_type: &'static str, body: Written) -> Answer {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let policy = "default-src 'none'; frame-ancestors 'none'";
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    for (name, value) in headers {
        response
            .headers_mut()
            .insert(name, header::HeaderValue::from_static(value));
    }
    Answer {
        response,
        then: Then::GoOn,
    }
}
