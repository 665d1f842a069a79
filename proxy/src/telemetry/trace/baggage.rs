//! W3C Baggage, as far as attributes ask for it. It passes through as it came.

/// The value of the first member of this name.
pub(super) fn member<'a>(lines: impl Iterator<Item = &'a [u8]>, name: &str) -> Option<Vec<u8>> {
    lines
        .flat_map(|line| line.split(|byte| *byte == b','))
        .find_map(|member| {
            let member = member.split(|byte| *byte == b';').next()?;
            let equals = member.iter().position(|byte| *byte == b'=')?;
            let (key, value) = (member[..equals].trim_ascii(), member[equals + 1..].trim_ascii());
            (key == name.as_bytes()).then(|| decoded(value))
        })
}

/// Without percent-encoding; what is no encoding stays as it is.
fn decoded(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [first, others @ ..] = rest {
        let byte = match (first, others) {
            (b'%', [high, low, ..]) => digit(*high).zip(digit(*low)).map(|(high, low)| high * 16 + low),
            _ => None,
        };
        out.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &others[2..] } else { others };
    }
    out
}

fn digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_found_in_whichever_line_it_is() {
        let lines: [&[u8]; 2] = [b"a=1;p=x , b = 2%20%zz%4;q", b"c=3,,=,d"];
        let found = |name| member(lines.into_iter(), name).map(|value| String::from_utf8(value).unwrap());
        assert_eq!(found("a").as_deref(), Some("1"));
        assert_eq!(found("b").as_deref(), Some("2 %zz%4"));
        assert_eq!(found("c").as_deref(), Some("3"));
        assert_eq!(found("d"), None);
        assert_eq!(found("p"), None);
    }
}
