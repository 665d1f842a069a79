//! Field lines as a header map.

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;

use super::Fault;
use super::head::Cuts;
use super::head::Lines;

/// The field lines from `fields` on, without those that are cut or called as one of `dropped`. Left out rather than
/// removed later, for a map's removal changes the order of what remains.
pub(super) fn copy_fields(
    head: &[u8],
    fields: usize,
    cuts: &Cuts,
    dropped: &[&str],
    map: &mut HeaderMap,
) -> Result<(), Fault> {
    for field in Lines::fields(head, fields).filter(|field| !cuts.contains(field.line)) {
        if !dropped
            .iter()
            .any(|name| field.name.eq_ignore_ascii_case(name.as_bytes()))
        {
            append(field.name, field.value, map)?;
        }
    }
    Ok(())
}

/// One field into a map; names become lower case.
pub(super) fn append(name: &[u8], value: &[u8], map: &mut HeaderMap) -> Result<(), Fault> {
    let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) else {
        return Err(Fault::malformed("a field that HTTP/2 cannot carry"));
    };
    match map.try_append(name, value) {
        Ok(_) => Ok(()),
        Err(_) => Err(Fault::malformed("more fields than a header map holds")),
    }
}
