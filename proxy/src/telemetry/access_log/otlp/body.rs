//! A line as the body of its record: a text, or what its JSON says.

use crate::telemetry::otlp::wire;

/// `LogRecord.body`.
const BODY: u32 = 5;
/// `AnyValue.string_value`.
const STRING: u32 = 1;

/// What lines are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Text,
    Map,
}

impl Body {
    /// Appends it to a record.
    pub(super) fn write(self, line: &[u8], out: &mut Vec<u8>) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let mut value = Vec::with_capacity(line.len() + 8);
        match self {
            Self::Text => wire::bytes(STRING, line, &mut value),
            // Lines of JSON are JSON.
            Self::Map => wire::json(&serde_json::from_slice(line).unwrap_or_default(), &mut value),
        }
        wire::bytes(BODY, &value, out);
    }
}
