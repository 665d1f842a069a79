//! The values of options.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The unit words of a duration, and what one of them is in milliseconds.
const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
/// Whoever waits for longer has mistyped.
const LONGEST: Duration = Duration::from_hours(24);

/// Reads such as `500ms`, `30s`, `2m`, `1h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let end = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, word) = text.split_at(end);
    let unit = UNITS.iter().find(|(name, _)| *name == word);
    let millis = unit.and_then(|(_, unit)| number.parse::<u64>().ok()?.checked_mul(*unit));
    match millis.map(Duration::from_millis) {
        Some(duration) if duration <= LONGEST => Ok(duration),
        Some(_) => Err("more than 24h".to_owned()),
        None => Err("not a whole number with ms, s, m or h, such as 30s".to_owned()),
    }
}

/// Where a proxy answers: `HOST:PORT`, with or without `http://` before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address(String);

impl Address {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bare = text.strip_prefix("http://").unwrap_or(text);
        let bare = bare.strip_suffix('/').unwrap_or(bare);
        let wrong = || "not an address such as 127.0.0.1:15000, [::1]:15000 or localhost:15000".to_owned();
        let (host, port) = bare.rsplit_once(':').ok_or_else(wrong)?;
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let host_is_plain = !host.is_empty()
            && !host.contains(|character: char| "/@?#:".contains(character) || character.is_whitespace());
        if (bracketed || host_is_plain) && port.parse::<u16>().is_ok_and(|port| port > 0) {
            Ok(Self(bare.to_owned()))
        } else {
            Err(wrong())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_whole_number_and_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_mins(2)));
        for bad in [
            "",
            "s",
            "10",
            "1.5s",
            "-1s",
            "10 s",
            "25h",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for good in [
            "127.0.0.1:15000",
            "http://127.0.0.1:15000",
            "http://localhost:1/",
            "[::1]:65535",
        ] {
            assert!(good.parse::<Address>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "127.0.0.1",
            ":15000",
            "::1:15000",
            "a:0",
            "a:65536",
            "https://a:1",
            "http://a:1/ready",
            "u@a:1",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }
}
