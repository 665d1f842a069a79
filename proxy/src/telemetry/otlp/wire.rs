//! Messages of OTLP as bytes: fields of protobuf, and the attributes and values of OpenTelemetry (`common.proto`).

use opentelemetry::Value;
use opentelemetry_sdk::Resource;

/// How a field is written.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH: u32 = 2;
const FIXED32: u32 = 5;

/// The fields of `AnyValue`.
const STRING: u32 = 1;
const BOOL: u32 = 2;
const INT: u32 = 3;
const DOUBLE: u32 = 4;
const ARRAY: u32 = 5;
const MAP: u32 = 6;

/// Appends a number.
pub fn varint(field: u32, value: u64, out: &mut Vec<u8>) {
    number(u64::from(field << 3 | VARINT), out);
    number(value, out);
}

/// Appends a number of eight bytes.
pub fn fixed64(field: u32, value: u64, out: &mut Vec<u8>) {
    number(u64::from(field << 3 | FIXED64), out);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a number of four bytes.
pub fn fixed32(field: u32, value: u32, out: &mut Vec<u8>) {
    number(u64::from(field << 3 | FIXED32), out);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a text, bytes, or a message that is written already.
pub fn bytes(field: u32, value: &[u8], out: &mut Vec<u8>) {
    begin(field, value.len(), out);
    out.extend_from_slice(value);
}

/// Begins a text or message of a known length.
pub fn begin(field: u32, length: usize, out: &mut Vec<u8>) {
    number(u64::from(field << 3 | LENGTH), out);
    number(length as u64, out);
}

/// Appends an attribute that is a text.
pub fn text(field: u32, key: &str, value: &str, out: &mut Vec<u8>) {
    let inner = 1 + length(value.len() as u64) + value.len();
    attribute(field, key, inner, out);
    bytes(STRING, value.as_bytes(), out);
}

/// Appends an attribute that is a number.
pub fn int(field: u32, key: &str, value: u64, out: &mut Vec<u8>) {
    attribute(field, key, 1 + length(value), out);
    varint(INT, value, out);
}

/// Appends an attribute that is a number with a fraction.
pub fn double(field: u32, key: &str, value: f64, out: &mut Vec<u8>) {
    attribute(field, key, 1 + size_of::<f64>(), out);
    fixed64(DOUBLE, value.to_bits(), out);
}

/// `KeyValue` as far as its value of this length.
fn attribute(field: u32, key: &str, value: usize, out: &mut Vec<u8>) {
    let key_length = 1 + length(key.len() as u64) + key.len();
    begin(field, key_length + 1 + length(value as u64) + value, out);
    bytes(1, key.as_bytes(), out);
    begin(2, value, out);
}

/// Appends an `AnyValue` without its field and length: what JSON has is said as OpenTelemetry says it.
pub fn json(value: &serde_json::Value, out: &mut Vec<u8>) {
    match value {
        serde_json::Value::Null => {}
        serde_json::Value::Bool(value) => varint(BOOL, u64::from(*value), out),
        serde_json::Value::Number(number) => match number.as_i64() {
            // A negative one is its two's complement.
            Some(value) => varint(INT, value as u64, out),
            None => fixed64(DOUBLE, number.as_f64().unwrap_or(f64::NAN).to_bits(), out),
        },
        serde_json::Value::String(text) => bytes(STRING, text.as_bytes(), out),
        serde_json::Value::Array(values) => {
            let mut inner = Vec::new();
            for value in values {
                let mut one = Vec::new();
                json(value, &mut one);
                bytes(1, &one, &mut inner);
            }
            bytes(ARRAY, &inner, out);
        }
        serde_json::Value::Object(fields) => {
            let mut inner = Vec::new();
            for (key, value) in fields {
                let mut one = Vec::new();
                json(value, &mut one);
                attribute(1, key, one.len(), &mut inner);
                inner.extend_from_slice(&one);
            }
            bytes(MAP, &inner, out);
        }
    }
}

/// A `Resource` as a message. What it has are texts.
pub fn resource(resource: &Resource) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in resource {
        match value {
            Value::I64(value) => int(1, key.as_str(), *value as u64, &mut out),
            value => text(1, key.as_str(), &value.as_str(), &mut out),
        }
    }
    out
}

/// The bytes of a number.
fn length(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

fn number(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_the_length_that_is_said_of_it() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            number(value, &mut out);
            assert_eq!(out.len(), length(value), "{value}");
        }
    }

    #[test]
    fn an_attribute_is_written_as_protobuf_has_it() {
        let mut out = Vec::new();
        text(6, "a", "bc", &mut out);
        assert_eq!(out, b"\x32\x09\x0a\x01a\x12\x04\x0a\x02bc");
        out.clear();
        int(6, "a", 300, &mut out);
        assert_eq!(out, b"\x32\x08\x0a\x01a\x12\x03\x18\xac\x02");
        out.clear();
        double(6, "a", 1.0, &mut out);
        assert_eq!(out, b"\x32\x0e\x0a\x01a\x12\x09\x21\0\0\0\0\0\0\xf0\x3f");
    }

    #[test]
    fn what_json_has_is_a_value() {
        let value = serde_json::json!({"a": [true, null, -1], "b": {"c": 1.5}});
        let mut out = Vec::new();
        json(&value, &mut out);
        let list = b"\x2a\x13\x0a\x02\x10\x01\x0a\x00\x0a\x0b\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        let map = b"\x32\x10\x0a\x0e\x0a\x01c\x12\x09\x21\0\0\0\0\0\0\xf8\x3f";
        let entry = |key: u8, value: &[u8]| {
            let mut entry = vec![0x0a, value.len() as u8 + 5, 0x0a, 1, key, 0x12, value.len() as u8];
            entry.extend_from_slice(value);
            entry
        };
        let fields = [entry(b'a', list), entry(b'b', map)].concat();
        assert_eq!(out, [&[0x32, fields.len() as u8], &fields[..]].concat());
    }
}
