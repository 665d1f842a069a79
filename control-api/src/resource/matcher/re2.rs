//! RE2's syntax in that of the `regex` crate, which is nearly the same: what both read, and read differently, is written
//! anew, so that an expression means here what it means in Envoy.
//!
//! | RE2 | the crate |
//! |---|---|
//! | `\d`, `\s`, `\w`, `\b` are of ASCII | of Unicode |
//! | in a class `[`, `&&`, `~~` and `--` are characters | nest, intersect and subtract classes |
//! | `{` that begins no repetition is a character | a fault |
//! | `\<` and `\>` are characters | the ends of words |

/// The same expression for the crate. What is wrong with it stays wrong.
pub(super) fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    while let Some(next) = rest.chars().next() {
        rest = match next {
            '\\' => escape(rest, &mut out),
            '[' => class(rest, &mut out),
            '{' if !is_repetition(rest) => {
                out.push_str("\\{");
                &rest[1..]
            }
            other => {
                out.push(other);
                &rest[other.len_utf8()..]
            }
        };
    }
    out
}

/// A backslash and what follows it, outside a class.
fn escape<'a>(rest: &'a str, out: &mut String) -> &'a str {
    match rest.as_bytes().get(1) {
        Some(b'b') => out.push_str(r"(?-u:\b)"),
        Some(b'B') => out.push_str(r"(?-u:\B)"),
        Some(b'<') => out.push('<'),
        Some(b'>') => out.push('>'),
        _ => return shorthand(rest, out),
    }
    &rest[2..]
}

/// A backslash and what follows it, anywhere.
fn shorthand<'a>(rest: &'a str, out: &mut String) -> &'a str {
    let named = match rest.as_bytes().get(1) {
        Some(b'd') => "[0-9]",
        Some(b'D') => "[^0-9]",
        Some(b's') => r"[\t\n\f\r ]",
        Some(b'S') => r"[^\t\n\f\r ]",
        Some(b'w') => "[0-9A-Za-z_]",
        Some(b'W') => "[^0-9A-Za-z_]",
        _ => {
            let length = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
            out.push_str(&rest[..length]);
            return &rest[length..];
        }
    };
    out.push_str(named);
    &rest[2..]
}

/// A class, from its bracket on.
fn class<'a>(rest: &'a str, out: &mut String) -> &'a str {
    out.push('[');
    let mut rest = &rest[1..];
    if let Some(behind) = rest.strip_prefix('^') {
        out.push('^');
        rest = behind;
    }
    // The first of them is a character.
    if let Some(behind) = rest.strip_prefix(']') {
        out.push_str("\\]");
        rest = behind;
    }
    let mut dash = false;
    while let Some(next) = rest.chars().next() {
        let second_dash = dash && next == '-';
        dash = next == '-' && !dash;
        rest = match next {
            ']' => {
                out.push(']');
                return &rest[1..];
            }
            '\\' => shorthand(rest, out),
            '[' => named_class(rest, out),
            '&' | '~' => {
                out.push('\\');
                out.push(next);
                &rest[1..]
            }
            '-' if second_dash => {
                out.push_str("\\-");
                &rest[1..]
            }
            other => {
                out.push(other);
                &rest[other.len_utf8()..]
            }
        };
    }
    rest
}

/// `[:alpha:]`, or a bracket that is a character.
fn named_class<'a>(rest: &'a str, out: &mut String) -> &'a str {
    if let Some(end) = rest.strip_prefix("[:").and_then(|name| name.find(":]")) {
        let length = end + 4;
        out.push_str(&rest[..length]);
        return &rest[length..];
    }
    out.push_str("\\[");
    &rest[1..]
}

/// Whether this is `{2}`, `{2,}` or `{2,5}`.
fn is_repetition(rest: &str) -> bool {
    let Some((inside, _)) = rest[1..].split_once('}') else {
        return false;
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    !least.is_empty() && digits(least) && digits(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_read_alike_stays_as_it_is() {
        for pattern in [
            "",
            "^/a/(b|c)+?[x-z]*$",
            r"a\.b\\\/\-\x{41}\pN\z",
            "(?i)(?P<n>a){2,5}b{2}c{2,}",
            "[^[:alpha:]_]",
            "[a-z-]",
            "é[ü]",
        ] {
            assert_eq!(translate(pattern), pattern);
        }
    }

    #[test]
    fn what_is_read_differently_is_written_anew() {
        for (pattern, expected) in [
            (r"\d+\D", "[0-9]+[^0-9]"),
            (r"[\w.]", "[[0-9A-Za-z_].]"),
            (r"[^\S]", r"[^[^\t\n\f\r ]]"),
            (r"\bx\B", r"(?-u:\b)x(?-u:\B)"),
            (r"\<a\>", "<a>"),
            ("[[a]", r"[\[a]"),
            ("[a&&b~~c]", r"[a\&\&b\~\~c]"),
            ("[+--]", r"[+-\-]"),
            ("[]a]", r"[\]a]"),
            ("[^]a]", r"[^\]a]"),
            ("a{,5}{x", r"a\{,5}\{x"),
            (r"\\d", r"\\d"),
            (r"\", r"\"),
        ] {
            assert_eq!(translate(pattern), expected, "{pattern}");
        }
    }
}
