//! Scalars with a unit: durations such as `500ms`, `4s`, `30m`, sizes such as `65536`, `64KiB`, `1MiB`, and shares such as `1%`.

use std::time::Duration;

/// The unit words of a duration, and what one of them is in milliseconds.
const TIME_UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
/// The unit words of a size, and what one of them is in bytes.
const SIZE_UNITS: [(&str, u64); 3] = [("", 1), ("KiB", 1 << 10), ("MiB", 1 << 20)];

/// A whole number and a unit; `None` when it is not one.
pub fn duration(text: &str) -> Option<Duration> {
    measured(text, &TIME_UNITS).map(Duration::from_millis)
}

/// A whole number of bytes, KiB or MiB; `None` when it is not one.
pub(super) fn size(text: &str) -> Option<u64> {
    measured(text, &SIZE_UNITS)
}

/// A share in millionths, of a percentage with at most four decimals; `None` when it is not one.
pub(super) fn share(text: &str) -> Option<u32> {
    let number = text.strip_suffix('%')?;
    let (percents, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let digits = !decimals.is_empty() && decimals.len() <= 4 && decimals.bytes().all(|byte| byte.is_ascii_digit());
    let decimals: u64 = if digits {
        format!("{decimals:0<4}").parse().ok()?
    } else {
        return None;
    };
    let millionths = whole(percents)?.checked_mul(10_000)?.checked_add(decimals)?;
    (millionths <= 1_000_000).then_some(millionths as u32)
}

/// A duration as [`duration`] reads it, in its largest whole unit.
pub fn write_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let whole = TIME_UNITS
        .iter()
        .rev()
        .find(|(_, unit)| millis > 0 && millis.is_multiple_of(u128::from(*unit)));
    let (word, unit) = whole.copied().unwrap_or(("s", 1_000));
    format!("{}{word}", millis / u128::from(unit))
}

/// A size as [`size`] reads it, in its largest whole unit.
pub(super) fn write_size(bytes: u64) -> String {
    let whole = SIZE_UNITS
        .iter()
        .rev()
        .find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit));
    let (word, unit) = whole.copied().unwrap_or(("", 1));
    format!("{}{word}", bytes / unit)
}

/// A whole number in decimal digits only: no sign, no leading zero, no separators.
pub(super) fn whole(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    if digits && !padded { text.parse().ok() } else { None }
}

fn measured(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, word) = text.split_at(end);
    let (_, unit) = units.iter().find(|(name, _)| *name == word)?;
    whole(number)?.checked_mul(*unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_needs_a_whole_number_and_a_unit() {
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("4s"), Some(Duration::from_secs(4)));
        assert_eq!(duration("30m"), Some(Duration::from_mins(30)));
        assert_eq!(duration("1h"), Some(Duration::from_hours(1)));
        for wrong in [
            "",
            "4",
            "s",
            "1.5s",
            "-1s",
            "4 s",
            "1s ",
            "1d",
            "01s",
            "18446744073709551615h",
            "4S",
            "٤s",
        ] {
            assert_eq!(duration(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_size_is_bytes_unless_it_says_otherwise() {
        assert_eq!(size("65536"), Some(65_536));
        assert_eq!(size("64KiB"), Some(65_536));
        assert_eq!(size("1MiB"), Some(1 << 20));
        for wrong in [
            "",
            "KiB",
            "64KB",
            "64kib",
            "64 KiB",
            "1GiB",
            "-1",
            "0x10",
            "17592186044416MiB",
        ] {
            assert_eq!(size(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_share_is_a_percentage() {
        for (text, millionths) in [
            ("0%", 0),
            ("1%", 10_000),
            ("0.0001%", 1),
            ("12.50%", 125_000),
            ("100%", 1_000_000),
        ] {
            assert_eq!(share(text), Some(millionths), "{text}");
        }
        for wrong in [
            "",
            "1",
            "%",
            "1.%",
            ".5%",
            "-1%",
            "1 %",
            "100.0001%",
            "0.00001%",
            "1e1%",
            "01%",
            "18446744073709551615%",
        ] {
            assert_eq!(share(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for millis in [0, 1, 999, 1_000, 1_500, 60_000, 3_600_000, 5_400_000] {
            let duration_of = Duration::from_millis(millis);
            assert_eq!(duration(&write_duration(duration_of)), Some(duration_of));
        }
        for bytes in [0, 1, 1_023, 1_024, 65_536, 1 << 20, (1 << 20) + 1] {
            assert_eq!(size(&write_size(bytes)), Some(bytes));
        }
    }
}
