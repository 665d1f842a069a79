//! Quantities as text.

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
