//! Classes of bytes, and lists separated by commas.

/// Whether `byte` may stand in a token (RFC 9110 5.6.2).
pub(super) const fn is_token(byte: u8) -> bool {
    TOKEN[byte as usize]
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric()
            || matches!(
                byte as u8,
                b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
            );
        byte += 1;
    }
    table
};

/// Whether all of `bytes` may stand in a field value: no control byte but the tab (RFC 9110 5.5).
///
/// Eight bytes at a time, for values are most of a head: a table costs three instructions for each byte.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const TOPS: u64 = u64::from_ne_bytes([0x80; 8]);
    let is_text_word = |word: &[u8; 8]| {
        let eight = u64::from_ne_bytes(*word);
        let below_space = eight.wrapping_sub(ONES * 0x20) & !eight;
        let flipped = eight ^ (ONES * 0x7f);
        let delete = flipped.wrapping_sub(ONES) & !flipped;
        (below_space | delete) & TOPS == 0 || word.iter().all(|byte| is_text_byte(*byte))
    };
    let (words, rest) = bytes.as_chunks::<8>();
    // What is left over is looked at again with what stands before it, where that makes eight.
    words.iter().all(is_text_word)
        && match bytes.last_chunk::<8>() {
            Some(last) => rest.is_empty() || is_text_word(last),
            None => rest.iter().all(|byte| is_text_byte(*byte)),
        }
}

/// One byte of that.
pub(super) const fn is_text_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// Whether `byte` may stand in a request target: visible, or from 0x80 (see the module doc of the codec), and no `#`,
/// for a fragment is never sent and who keeps it and who drops it disagree about the path.
pub(super) const fn is_target(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f && byte != b'#'
}

/// Without the spaces and tabs at both ends (`OWS`, RFC 9110 5.6.3).
#[inline]
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The elements of a list, without the empty ones, which a reader must skip (RFC 9110 5.6.1.2).
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|byte| *byte == b',')
        .map(trim)
        .filter(|element| !element.is_empty())
}

/// The number that `digits` spell: digits alone, at least one, and no more than an `i64` holds, which is what the
/// servers behind us count with.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    let mut number: u64 = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    i64::try_from(number).is_ok().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_told_from_controls_at_every_place_of_a_word() {
        for byte in 0..=255_u8 {
            for length in 1..20 {
                for place in 0..length {
                    let mut bytes = vec![b'a'; length];
                    bytes[place] = byte;
                    assert_eq!(is_text(&bytes), is_text_byte(byte), "{byte:#x} at {place} of {length}");
                }
            }
        }
        assert!(is_text(b"\t\t\t\t\t\t\t\t"));
        assert!(!is_text(b"\t\t\t\t\t\t\t\0"));
    }

    #[test]
    fn numbers_are_digits_alone_and_fit() {
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"007"), Some(7));
        assert_eq!(decimal(b"9223372036854775807"), Some(i64::MAX as u64));
        for refused in [
            "",
            "+1",
            "-1",
            " 1",
            "1 ",
            "1,1",
            "0x1",
            "1e3",
            "9223372036854775808",
            "18446744073709551616",
        ] {
            assert_eq!(decimal(refused.as_bytes()), None, "{refused:?}");
        }
    }

    #[test]
    fn lists_skip_empty_elements() {
        let elements: Vec<&[u8]> = list(b", a ,\t,b,").collect();
        assert_eq!(elements, [b"a", b"b"]);
    }
}
