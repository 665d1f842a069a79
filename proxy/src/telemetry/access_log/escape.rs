//! Bytes that a peer sent, as text that stays on one line.

use std::borrow::Cow;
use std::fmt::Write;

/// UTF-8 as it is, but for control characters; those and bytes that are not UTF-8 as `\xff`. A backslash is doubled, so
/// that no text looks like what it is not.
pub(super) fn escape(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes)
        && !text.chars().any(is_special)
    {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\\' => out.push_str("\\\\"),
                letter if is_special(letter) => hex(letter.encode_utf8(&mut [0; 4]).as_bytes(), &mut out),
                letter => out.push(letter),
            }
        }
        hex(chunk.invalid(), &mut out);
    }
    Cow::Owned(out)
}

/// Line and paragraph separators end a line for some readers as well.
fn is_special(letter: char) -> bool {
    letter == '\\' || letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}')
}

fn hex(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        // A string takes whatever is written to it.
        let _ = write!(out, "\\x{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_or_would_end_the_line_is_escaped() {
        for (bytes, expected) in [
            (&b"/a?b=\"c\""[..], "/a?b=\"c\""),
            ("/\u{e9}".as_bytes(), "/\u{e9}"),
            (b"/a\r\nb\x1b[0m\0", "/a\\x0d\\x0ab\\x1b[0m\\x00"),
            (b"/\xff\xc3", "/\\xff\\xc3"),
            (b"/\\xff", "/\\\\xff"),
            ("\u{85}\u{2028}".as_bytes(), "\\xc2\\x85\\xe2\\x80\\xa8"),
        ] {
            assert_eq!(escape(bytes), expected);
        }
    }
}
