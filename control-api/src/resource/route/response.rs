//! `DirectResponseAction`: an answer that stands in the configuration.

use crate::report::Report;
use crate::report::refuse_set;
use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::config::route::v3 as proto;
use http::StatusCode;

/// Bytes of a body, where `max_direct_response_body_size_bytes` says nothing (Envoy's default).
pub(super) const LARGEST_BODY: u32 = 4096;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectResponse {
    /// From 200 to 599.
    pub status: StatusCode,
    /// May be empty, and is for 204, 205 and 304.
    pub body: Bytes,
}

/// Decodes one whose body may have `largest` bytes.
pub(super) fn direct_response(
    message: proto::DirectResponseAction,
    largest: u32,
    report: &mut Report,
) -> Option<DirectResponse> {
    let proto::DirectResponseAction {
        status,
        body,
        body_format,
    } = message;
    refuse_set!(report; body_format);
    let code = u16::try_from(status).ok().filter(|code| (200..600).contains(code));
    let code = code.and_then(|code| StatusCode::from_u16(code).ok());
    if code.is_none() {
        report.refuse_field("status", format!("must be from 200 to 599, found {status}"));
    }
    let body = report.within("body", |report| bytes(body, largest, report));
    let (status, body) = (code?, body?);
    if !body.is_empty() && matches!(status.as_u16(), 204 | 205 | 304) {
        report.refuse_field("body", format!("an answer of {} has none", status.as_u16()));
        return None;
    }
    Some(DirectResponse {
        status,
        body: body.into(),
    })
}

fn bytes(source: Option<core::DataSource>, largest: u32, report: &mut Report) -> Option<Vec<u8>> {
    let Some(source) = source else { return Some(Vec::new()) };
    let core::DataSource {
        watched_directory,
        specifier,
    } = source;
    refuse_set!(report; watched_directory);
    let body = match specifier {
        Some(Specifier::InlineBytes(bytes)) => bytes,
        Some(Specifier::InlineString(text)) => text.into_bytes(),
        Some(Specifier::Filename(_) | Specifier::EnvironmentVariable(_)) | None => {
            report.refuse("must be inline_string or inline_bytes");
            return None;
        }
    };
    if body.len() > largest as usize {
        report.refuse(format!("has {} bytes, more than {largest}", body.len()));
        return None;
    }
    Some(body)
}
