//! A request as far as rules look at it, in either version.

use evenkeel_control_api::resource::route::FieldName;
use http::{HeaderMap, HeaderName};
use std::borrow::Cow;

/// A request.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// Any token.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Whom it is for.
    pub authority: Option<&'a [u8]>,
    /// Without the query; `*` for OPTIONS as such.
    pub path: &'a [u8],
    /// What follows the first `?`.
    pub query: Option<&'a [u8]>,
    /// Its fields.
    pub fields: &'a dyn Fields,
}

/// The fields of a head.
pub trait Fields {
    /// The value of the line of this name that has so many others of it before it.
    fn value(&self, name: &HeaderName, before: usize) -> Option<&[u8]>;
}

impl Fields for HeaderMap {
    fn value(&self, name: &HeaderName, before: usize) -> Option<&[u8]> {
        self.get_all(name).iter().nth(before).map(http::HeaderValue::as_bytes)
    }
}

impl<'a> Ask<'a> {
    /// CONNECT has an authority and no path.
    pub(super) fn is_connect(&self) -> bool {
        self.method == "CONNECT"
    }

    /// All values of a field, joined with commas, as if they had come in one line (RFC 9110 5.3).
    pub(super) fn field(&self, name: &FieldName) -> Option<Cow<'a, [u8]>> {
        let FieldName::Field(name) = name else {
            return self.first(name);
        };
        let first = self.fields.value(name, 0)?;
        if self.fields.value(name, 1).is_none() {
            return Some(Cow::Borrowed(first));
        }
        let values = (0..).map_while(|before| self.fields.value(name, before));
        Some(Cow::Owned(values.collect::<Vec<_>>().join(&b',')))
    }

    /// The first value of a field.
    pub fn first(&self, name: &FieldName) -> Option<Cow<'a, [u8]>> {
        match name {
            FieldName::Method => Some(Cow::Borrowed(self.method.as_bytes())),
            FieldName::Scheme => Some(Cow::Borrowed(self.scheme.as_bytes())),
            FieldName::Authority => self.authority.map(Cow::Borrowed),
            FieldName::Path if self.is_connect() => None,
            FieldName::Path => Some(match self.query {
                Some(query) => Cow::Owned([self.path, query].join(&b'?')),
                None => Cow::Borrowed(self.path),
            }),
            FieldName::Field(name) => self.fields.value(name, 0).map(Cow::Borrowed),
        }
    }
}
