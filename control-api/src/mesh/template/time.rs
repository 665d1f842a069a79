//! The parameter of `START_TIME` and `EMIT_TIME`: what `strftime` calls `%Y`, with Envoy's `%f` for fractions of a second.

/// A moment as text, in UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeFormat {
    /// As RFC 3339 has it, with milliseconds.
    Rfc3339,
    /// Made of these.
    Parts(Vec<TimePart>),
}

/// A part of a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimePart {
    /// As it stands.
    Literal(String),
    /// `%Y`.
    Year,
    /// `%y`: its last two digits.
    ShortYear,
    /// `%m`.
    Month,
    /// `%b`: `Nov`.
    MonthName,
    /// `%d`.
    Day,
    /// `%e`: with a space instead of the first zero.
    PaddedDay,
    /// `%j`: of the year.
    DayOfYear,
    /// `%a`: `Sun`.
    WeekDay,
    /// `%H`.
    Hour,
    /// `%M`.
    Minute,
    /// `%S`.
    Second,
    /// `%s`: seconds since 1970.
    Epoch,
    /// `%f` and `%1f` to `%9f`: so many digits of the fraction of a second.
    Fraction(u8),
    /// `%z`: `+0000`.
    Offset,
    /// `%Z`: `UTC`.
    Zone,
}

impl TimeFormat {
    /// Reads a parameter.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                literal.push(letter);
                continue;
            }
            let specifier = letters.next().ok_or("the time format ends with a %")?;
            let digits = match specifier {
                '1'..='9' if letters.as_str().starts_with('f') => {
                    letters.next();
                    specifier as u8 - b'0'
                }
                _ => 9,
            };
            let found: &[TimePart] = match specifier {
                '%' => {
                    literal.push('%');
                    continue;
                }
                'f' | '1'..='9' if specifier == 'f' || digits == specifier as u8 - b'0' => &[TimePart::Fraction(digits)],
                specifier => named(specifier).ok_or_else(|| {
                    format!("%{specifier} is no part of a time; there are %Y %y %m %b %d %e %j %a %H %M %S %s %f %1f to %9f %z %Z %F %T %R %D")
                })?,
            };
            if !literal.is_empty() {
                parts.push(TimePart::Literal(std::mem::take(&mut literal)));
            }
            parts.extend_from_slice(found);
        }
        if !literal.is_empty() {
            parts.push(TimePart::Literal(literal));
        }
        Ok(Self::Parts(parts))
    }
}

fn named(specifier: char) -> Option<&'static [TimePart]> {
    use TimePart::{
        Day, DayOfYear, Epoch, Hour, Minute, Month, MonthName, Offset, PaddedDay, Second, ShortYear, WeekDay, Year,
        Zone,
    };
    Some(match specifier {
        'Y' => &[Year],
        'y' => &[ShortYear],
        'm' => &[Month],
        'b' => &[MonthName],
        'd' => &[Day],
        'e' => &[PaddedDay],
        'j' => &[DayOfYear],
        'a' => &[WeekDay],
        'H' => &[Hour],
        'M' => &[Minute],
        'S' => &[Second],
        's' => &[Epoch],
        'z' => &[Offset],
        'Z' => &[Zone],
        _ => return composed(specifier),
    })
}

/// Short for several, whose separators are in between.
fn composed(specifier: char) -> Option<&'static [TimePart]> {
    static COMPOSED: std::sync::LazyLock<[(char, Vec<TimePart>); 4]> = std::sync::LazyLock::new(|| {
        use TimePart::{Day, Hour, Literal, Minute, Month, Second, ShortYear, Year};
        let joined = |parts: &[TimePart], separator: &str| {
            let separated = parts
                .iter()
                .flat_map(|part| [Literal(separator.to_owned()), part.clone()]);
            separated.skip(1).collect()
        };
        [
            ('F', joined(&[Year, Month, Day], "-")),
            ('T', joined(&[Hour, Minute, Second], ":")),
            ('R', joined(&[Hour, Minute], ":")),
            ('D', joined(&[Month, Day, ShortYear], "/")),
        ]
    });
    let found = COMPOSED.iter().find(|(name, _)| *name == specifier);
    found.map(|(_, parts)| parts.as_slice())
}
