//! Numbers as the headers of traces have them: hexadecimal digits in lower case, and no others.

use opentelemetry::trace::TraceId;

const DIGITS: [u8; 16] = *b"0123456789abcdef";

/// As many bytes as there are pairs of digits; `None` for anything else.
pub(super) fn bytes<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = (value(pair[0])? << 4) | value(pair[1])?;
    }
    Some(bytes)
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// The digits of the identity of a trace.
pub fn digits(trace: TraceId) -> [u8; 32] {
    let mut digits = [0; 32];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(trace.to_bytes()) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    digits
}

/// Appends two digits for each byte.
pub(super) fn write<const N: usize>(bytes: [u8; N], out: &mut Vec<u8>) {
    let digits = bytes.map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    out.extend_from_slice(digits.as_flattened());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_and_nothing_else_is_read() {
        let mut out = Vec::new();
        write([0, 0x9f, 0xa0], &mut out);
        assert_eq!(out, b"009fa0");
        assert_eq!(bytes(&out), Some([0, 0x9f, 0xa0]));
        for wrong in ["009FA0", "009fa", "009fa00", "0x9fa0", "009fag", "+09fa0", ""] {
            assert_eq!(bytes::<3>(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
