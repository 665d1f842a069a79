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

/// Writes two digits for each byte, of which there are four or a multiple of that: eight digits at once, for every request
/// has 48 of them.
#[inline]
pub(super) fn write(bytes: &[u8], digits: &mut [u8]) {
    let (fours, _) = bytes.as_chunks::<4>();
    let (eights, _) = digits.as_chunks_mut::<8>();
    for (eight, four) in eights.iter_mut().zip(fours) {
        *eight = eight_digits(u32::from_be_bytes(*four)).to_be_bytes();
    }
}

/// One digit in each byte.
#[inline]
fn eight_digits(number: u32) -> u64 {
    let wide = u64::from(number);
    let wide = (wide | wide << 16) & 0x0000_ffff_0000_ffff;
    let wide = (wide | wide << 8) & 0x00ff_00ff_00ff_00ff;
    let values = (wide | wide << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    // A value above 9 carries into the upper half of its byte when 6 is added, and is a letter, 39 behind the digits.
    let letters = ((values + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    values + 0x3030_3030_3030_3030 + 39 * letters
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
