//! Durations and quantities as text.

use std::time::Duration;

/// The unit words of a duration, and what one of them is in milliseconds; as in the mesh document.
const TIME_UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// What a suffix of a quantity multiplies with: a power of two or of ten.
const QUANTITY_UNITS: [(&str, u32, i32); 16] = [
    ("Ki", 2, 10),
    ("Mi", 2, 20),
    ("Gi", 2, 30),
    ("Ti", 2, 40),
    ("Pi", 2, 50),
    ("Ei", 2, 60),
    ("n", 10, -9),
    ("u", 10, -6),
    ("m", 10, -3),
    ("k", 10, 3),
    ("M", 10, 6),
    ("G", 10, 9),
    ("T", 10, 12),
    ("P", 10, 15),
    ("E", 10, 18),
    ("", 10, 0),
];

/// A whole number and `ms`, `s`, `m` or `h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, word) = text.split_at(end);
    let unit = TIME_UNITS.iter().find(|(name, _)| *name == word);
    let millis = unit.and_then(|(_, unit)| number.parse::<u64>().ok()?.checked_mul(*unit));
    let wrong = || format!("{text:?} is not a whole number with ms, s, m or h, such as 30s");
    millis.map(Duration::from_millis).ok_or_else(wrong)
}

/// A duration as [`duration`] and the mesh document read it, in its largest whole unit.
pub(super) fn write_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let whole = TIME_UNITS
        .iter()
        .rev()
        .find(|(_, unit)| millis > 0 && millis.is_multiple_of(u128::from(*unit)));
    let (word, unit) = whole.copied().unwrap_or(("s", 1_000));
    format!("{}{word}", millis / u128::from(unit))
}

/// An amount of CPU or memory as Kubernetes writes it, in billionths; `None` when it is none.
pub(super) fn quantity(text: &str) -> Option<u128> {
    /// Of the number before its suffix; no machine has more.
    const DIGITS: usize = 15;
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (_, base, power) = QUANTITY_UNITS.iter().find(|(name, ..)| *name == suffix)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if number.is_empty() || number == "." || fraction.contains('.') || whole.len() + fraction.len() > DIGITS {
        return None;
    }
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let billionths = match base {
        2 => digits * (1 << power) * 10u128.pow(9),
        _ => digits * 10u128.pow((9 + power) as u32),
    };
    Some(billionths / 10u128.pow(fraction.len() as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_needs_a_whole_number_and_a_unit() {
        assert_eq!(duration("1500ms"), Ok(Duration::from_millis(1_500)));
        assert_eq!(write_duration(Duration::from_millis(1_500)), "1500ms");
        assert_eq!(
            duration(&write_duration(Duration::from_mins(2))),
            Ok(Duration::from_mins(2))
        );
        for wrong in ["", "4", "s", "1.5s", "-1s", "4 s", "1d", "18446744073709551615h"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn quantities_are_compared_across_their_suffixes() {
        assert_eq!(quantity("100m"), quantity("0.1"));
        assert_eq!(quantity("1Gi"), quantity("1024Mi"));
        assert!(quantity("1Gi") > quantity("1G"));
        assert_eq!(quantity("1.5Gi"), quantity("1536Mi"));
        for wrong in [
            "",
            ".",
            "m",
            "1.2.3",
            "-1",
            "1 Gi",
            "1gi",
            "1KB",
            "1e3",
            "1000000000000000",
        ] {
            assert_eq!(quantity(wrong), None, "{wrong:?}");
        }
    }
}
