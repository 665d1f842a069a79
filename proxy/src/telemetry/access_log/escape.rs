//! Bytes that a peer sent, as text that stays on one line and inside its quotes.

/// Where text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inside {
    /// Between quotes of a line of text, or as they are: UTF-8 as it is, but for control characters; those, and bytes that are
    /// not UTF-8, as `\xff`. A backslash is doubled and a quote has one, so that no text looks like what it is not.
    Text,
    /// The same without the backslash before quotes.
    Plain,
    /// A string of JSON that holds what the form above is without the backslash before quotes.
    Json,
}

/// The bytes that do not always stand as they are.
const ESCAPED: [bool; 256] = {
    let mut escaped = [true; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        escaped[byte as usize] = matches!(byte, b'\\' | b'"');
        byte += 1;
    }
    escaped
};

/// Appends it.
#[inline]
pub(super) fn escape(bytes: &[u8], inside: Inside, out: &mut Vec<u8>) {
    // Nearly nothing that peers send is. All of it is looked at, which is cheaper than a branch for each byte.
    if bytes
        .iter()
        .fold(false, |found, byte| found | ESCAPED[usize::from(*byte)])
    {
        escape_each(bytes, inside, out);
    } else {
        out.extend_from_slice(bytes);
    }
}

#[cold]
fn escape_each(bytes: &[u8], inside: Inside, out: &mut Vec<u8>) {
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\\' => backslashes(2, inside, out),
                '"' if inside == Inside::Plain => out.push(b'"'),
                '"' => out.extend_from_slice(b"\\\""),
                letter if is_special(letter) => hex(letter.encode_utf8(&mut [0; 4]).as_bytes(), inside, out),
                letter => out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        hex(chunk.invalid(), inside, out);
    }
}

/// Line and paragraph separators end a line for some readers as well.
fn is_special(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}')
}

/// JSON has two for one.
fn backslashes(count: usize, inside: Inside, out: &mut Vec<u8>) {
    let count = if inside == Inside::Json { 2 * count } else { count };
    out.resize(out.len() + count, b'\\');
}

fn hex(bytes: &[u8], inside: Inside, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        backslashes(1, inside, out);
        out.extend_from_slice(&[b'x', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(bytes: &[u8], inside: Inside) -> String {
        let mut out = Vec::new();
        escape(bytes, inside, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_no_text_or_would_end_the_line_is_escaped() {
        for (bytes, expected) in [
            (&b"/a?b=c"[..], "/a?b=c"),
            (b"\"c\"", "\\\"c\\\""),
            ("/\u{e9}".as_bytes(), "/\u{e9}"),
            (b"/a\r\nb\x1b[0m\0\x7f", "/a\\x0d\\x0ab\\x1b[0m\\x00\\x7f"),
            (b"/\xff\xc3", "/\\xff\\xc3"),
            (b"/\\xff", "/\\\\xff"),
            ("\u{85}\u{2028}".as_bytes(), "\\xc2\\x85\\xe2\\x80\\xa8"),
        ] {
            assert_eq!(escaped(bytes, Inside::Text), expected);
            assert_eq!(escaped(bytes, Inside::Plain), expected.replace("\\\"", "\""));
            // What a reader of JSON gets differs by nothing but the quotes.
            let json = format!("\"{}\"", escaped(bytes, Inside::Json));
            let read: String = serde_json::from_str(&json).unwrap();
            assert_eq!(read, expected.replace("\\\"", "\""), "{json}");
        }
    }
}
