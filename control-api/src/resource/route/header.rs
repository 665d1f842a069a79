//! Changes of header fields.

use crate::report::Report;
use envoy_types::pb::envoy::config::core::v3 as proto;
use http::HeaderName;
use http::HeaderValue;
use proto::header_value_option::HeaderAppendAction;

/// Changes of one level, both ways.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mutations {
    /// Of requests.
    pub request: HeaderMutations,
    /// Of the answers to them.
    pub response: HeaderMutations,
}

/// Fields that go, and then fields that come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderMutations {
    /// All lines of these names.
    pub remove: Vec<HeaderName>,
    /// In their order.
    pub add: Vec<HeaderAddition>,
}

/// A field that comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderAddition {
    /// Its name.
    pub name: HeaderName,
    /// Its value.
    pub value: HeaderValue,
    /// What of those that are there already.
    pub action: AppendAction,
}

/// What of the fields of the same name that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendAction {
    /// They stay, and this one is added.
    Append,
    /// They stay, and this one is added only where there is none.
    AddIfAbsent,
    /// This one takes their place, or is added.
    Overwrite,
    /// This one takes their place, and is not added where there is none.
    OverwriteIfPresent,
}

impl HeaderMutations {
    /// Nothing changes.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.add.is_empty()
    }
}

/// The four fields in which messages hold changes, in the order of their names.
pub(super) struct Fields {
    pub(super) request_headers_to_add: Vec<proto::HeaderValueOption>,
    pub(super) request_headers_to_remove: Vec<String>,
    pub(super) response_headers_to_add: Vec<proto::HeaderValueOption>,
    pub(super) response_headers_to_remove: Vec<String>,
}

/// Decodes them.
pub(super) fn mutations(fields: Fields, report: &mut Report) -> Mutations {
    let Fields {
        request_headers_to_add,
        request_headers_to_remove,
        response_headers_to_add,
        response_headers_to_remove,
    } = fields;
    Mutations {
        request: HeaderMutations {
            remove: report.each("request_headers_to_remove", request_headers_to_remove, removal),
            add: report.each("request_headers_to_add", request_headers_to_add, addition),
        },
        response: HeaderMutations {
            remove: report.each("response_headers_to_remove", response_headers_to_remove, removal),
            add: report.each("response_headers_to_add", response_headers_to_add, addition),
        },
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as the items of a repeated field come")]
fn removal(name: String, report: &mut Report) -> Option<HeaderName> {
    changed(&name, report)
}

fn changed(name: &str, report: &mut Report) -> Option<HeaderName> {
    changeable(name).map_err(|reason| report.refuse(reason)).ok()
}

fn addition(message: proto::HeaderValueOption, report: &mut Report) -> Option<HeaderAddition> {
    #[expect(deprecated, reason = "what is deprecated means what it meant")]
    let proto::HeaderValueOption {
        header,
        append,
        append_action,
        keep_empty_value,
    } = message;
    let Some(proto::HeaderValue { key, value, raw_value }) = header else {
        report.refuse_field("header", "is missing");
        return None;
    };
    let action = match (
        HeaderAppendAction::try_from(append_action),
        append.map(|append| append.value),
    ) {
        (Ok(HeaderAppendAction::AppendIfExistsOrAdd), Some(false))
        | (Ok(HeaderAppendAction::OverwriteIfExistsOrAdd), None) => Some(AppendAction::Overwrite),
        (Ok(HeaderAppendAction::AppendIfExistsOrAdd), _) => Some(AppendAction::Append),
        (Ok(_), Some(_)) => {
            report.refuse_field("append", "cannot be there with append_action");
            None
        }
        (Ok(HeaderAppendAction::AddIfAbsent), None) => Some(AppendAction::AddIfAbsent),
        (Ok(HeaderAppendAction::OverwriteIfExists), None) => Some(AppendAction::OverwriteIfPresent),
        (Err(_), _) => {
            report.refuse_field("append_action", format!("{append_action} is not known"));
            None
        }
    };
    let addition = report.within("header", |report| {
        let name = report.within("key", |report| changed(&key, report));
        let value = text(value, raw_value, report);
        Some((name?, value?))
    });
    let ((name, value), action) = (addition?, action?);
    // Envoy drops such a field, whatever it would have done to others.
    (keep_empty_value || !value.is_empty()).then_some(HeaderAddition { name, value, action })
}

/// A field that a configuration may change, or why it may not. Framing, hops, and whom a request is for have their own rules.
pub(crate) fn changeable(name: &str) -> Result<HeaderName, String> {
    const OURS: [&str; 12] = [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "proxy-connection",
        "upgrade",
        "te",
        "trailer",
        "expect",
        "http2-settings",
        "x-evenkeel-reason",
    ];
    let Ok(parsed) = HeaderName::from_bytes(name.as_bytes()) else {
        return Err(format!("{name:?} is not the name of a field that can be changed"));
    };
    if OURS.contains(&parsed.as_str()) {
        return Err(format!("{name:?} cannot be changed"));
    }
    Ok(parsed)
}

/// A value without operators.
fn text(value: String, raw_value: Vec<u8>, report: &mut Report) -> Option<HeaderValue> {
    let (field, bytes) = match (value.is_empty(), raw_value.is_empty()) {
        (false, false) => {
            report.refuse_field("raw_value", "cannot be there with value");
            return None;
        }
        (_, true) => ("value", value.into_bytes()),
        (true, false) => ("raw_value", raw_value),
    };
    let literal = match literal(&bytes) {
        Ok(literal) => literal,
        Err(reason) => {
            report.refuse_field(field, reason);
            return None;
        }
    };
    let value = HeaderValue::from_bytes(&literal);
    if value.is_err() {
        report.refuse_field(field, "holds a control byte");
    }
    value.ok()
}

/// Envoy's formats: `%%` is a percent sign, and `%NAME%` or `%NAME(...)%` an operator.
fn literal(format: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(format.len());
    let mut rest = format;
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        if rest.first() != Some(&b'%') {
            return Err(operator(rest));
        }
        out.push(b'%');
        rest = &rest[1..];
    }
    out.extend_from_slice(rest);
    Ok(out)
}

fn operator(rest: &[u8]) -> String {
    let name = rest
        .split(|byte| matches!(byte, b'%' | b'(' | b':'))
        .next()
        .unwrap_or_default();
    if rest.contains(&b'%') && !name.is_empty() {
        format!("the operator %{}% is not supported", String::from_utf8_lossy(name))
    } else {
        "a percent sign is written %%".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percent_sign_is_doubled_and_operators_are_named() {
        assert_eq!(literal(b"100%% of %%"), Ok(b"100% of %".to_vec()));
        for (format, reason) in [
            (
                "%DOWNSTREAM_REMOTE_ADDRESS%",
                "the operator %DOWNSTREAM_REMOTE_ADDRESS% is not supported",
            ),
            ("a %REQ(x?y):3% b", "the operator %REQ% is not supported"),
            ("50%", "a percent sign is written %%"),
            ("50% off", "a percent sign is written %%"),
        ] {
            assert_eq!(literal(format.as_bytes()), Err(reason.to_owned()));
        }
    }
}
