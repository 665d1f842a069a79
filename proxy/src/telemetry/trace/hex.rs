//! Numbers as the headers of traces have them: hexadecimal digits in lower case, and no others.

use opentelemetry::trace::TraceId;

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
    write(&trace.to_bytes(), &mut digits);
    digits
}

/// Writes two digits for each byte.
#[inline]
pub(super) fn write(bytes: &[u8], digits: &mut [u8]) {
    let (pairs, _) = digits.as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        *pair = two_digits(*byte).to_le_bytes();
    }
}

/// The first digit in the lower byte. Without branches and tables: the compiler takes eight bytes at once.
#[inline]
fn two_digits(byte: u8) -> u16 {
    let wide = u16::from(byte);
    let values = (wide >> 4 | wide << 8) & 0x0f0f;
    // A value above 9 carries into the upper half of its byte when 6 is added, and is a letter, 39 behind the digits.
    let letters = ((values + 0x0606) >> 4) & 0x0101;
    values + 0x3030 + 39 * letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_and_nothing_else_is_read() {
        for number in (0..=u32::MAX).step_by(65_521) {
            let mut out = [0; 8];
            write(&number.to_be_bytes(), &mut out);
            assert_eq!(str::from_utf8(&out), Ok(&*format!("{number:08x}")));
            assert_eq!(bytes(&out), Some(number.to_be_bytes()));
        }
        for wrong in ["009FA0", "009fa", "009fa00", "0x9fa0", "009fag", "+09fa0", ""] {
            assert_eq!(bytes::<3>(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
