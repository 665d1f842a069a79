//! A moment as text, in UTC.

use super::number::number;
use super::number::padded;
use evenkeel_control_api::mesh::template::TimeFormat;
use evenkeel_control_api::mesh::template::TimePart;
use std::cell::Cell;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
/// The first day of 1970 was one of these.
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
/// `2026-11-22T03:14:31`.
const SECONDS: usize = 19;

/// Remembers the second that it wrote last: the next line is nearly always of the same.
#[derive(Debug, Default)]
pub(super) struct Clock(Cell<(u64, [u8; SECONDS])>);

impl Clock {
    /// Appends a moment as RFC 3339 has it, such as `2026-11-22T03:14:31.042Z`. Before 1970 is 1970.
    pub(super) fn rfc3339(&self, moment: SystemTime, out: &mut Vec<u8>) {
        let since = since(moment);
        let (second, mut text) = self.0.get();
        if second != since.as_secs() || text[0] == 0 {
            let mut fresh = Vec::with_capacity(SECONDS);
            seconds(&Civil::of(since.as_secs()), &mut fresh);
            text.copy_from_slice(&fresh[..SECONDS]);
            self.0.set((since.as_secs(), text));
        }
        out.extend_from_slice(&text);
        out.push(b'.');
        padded::<3>(u64::from(since.subsec_millis()), out);
        out.push(b'Z');
    }

    /// Appends a moment as a template wants it.
    pub(super) fn format(&self, format: &TimeFormat, moment: SystemTime, out: &mut Vec<u8>) {
        match format {
            TimeFormat::Rfc3339 => self.rfc3339(moment, out),
            TimeFormat::Parts(parts) => {
                let since = since(moment);
                let civil = Civil::of(since.as_secs());
                for one in parts {
                    part(one, since, &civil, out);
                }
            }
        }
    }
}

/// Such as `2026-11-22T03:14:31.042Z`. Before 1970 is 1970.
pub fn rfc3339(moment: SystemTime) -> String {
    let mut out = Vec::new();
    Clock::default().rfc3339(moment, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn since(moment: SystemTime) -> Duration {
    moment.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)
}

fn seconds(civil: &Civil, out: &mut Vec<u8>) {
    padded::<4>(civil.year % 10_000, out);
    for (before, value) in [
        (b'-', civil.month),
        (b'-', civil.day),
        (b'T', civil.hour),
        (b':', civil.minute),
        (b':', civil.second),
    ] {
        out.push(before);
        padded::<2>(value, out);
    }
}

fn part(part: &TimePart, since: Duration, civil: &Civil, out: &mut Vec<u8>) {
    match part {
        TimePart::Literal(text) => out.extend_from_slice(text.as_bytes()),
        TimePart::Year => padded::<4>(civil.year % 10_000, out),
        TimePart::ShortYear => padded::<2>(civil.year % 100, out),
        TimePart::Month => padded::<2>(civil.month, out),
        TimePart::MonthName => out.extend_from_slice(MONTHS[civil.month as usize - 1].as_bytes()),
        TimePart::Day => padded::<2>(civil.day, out),
        TimePart::PaddedDay => {
            if civil.day < 10 {
                out.push(b' ');
            }
            number(civil.day, out);
        }
        TimePart::DayOfYear => padded::<3>(days_before(civil.year, civil.month) + civil.day, out),
        TimePart::WeekDay => out.extend_from_slice(DAYS[(civil.days % 7) as usize].as_bytes()),
        TimePart::Hour => padded::<2>(civil.hour, out),
        TimePart::Minute => padded::<2>(civil.minute, out),
        TimePart::Second => padded::<2>(civil.second, out),
        TimePart::Epoch => number(since.as_secs(), out),
        TimePart::Fraction(digits) => {
            let from = out.len();
            padded::<9>(u64::from(since.subsec_nanos()), out);
            out.truncate(from + usize::from(*digits));
        }
        TimePart::Offset => out.extend_from_slice(b"+0000"),
        TimePart::Zone => out.extend_from_slice(b"UTC"),
    }
}

/// Days of the year before this month.
fn days_before(year: u64, month: u64) -> u64 {
    const BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    BEFORE[month as usize - 1] + u64::from(leap && month > 2)
}

/// A moment as the calendar has it.
struct Civil {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
    /// Since 1970.
    days: u64,
}

impl Civil {
    fn of(seconds: u64) -> Self {
        let days = seconds / 86_400;
        let (year, month, day) = date(days);
        Self {
            year,
            month,
            day,
            hour: seconds / 3_600 % 24,
            minute: seconds / 60 % 60,
            second: seconds % 60,
            days,
        }
    }
}

/// Year, month and day of a number of days since 1970.
///
/// Counted from 1 March of the year 0, so that the leap day ends a year, in eras of 400 years, after which the calendar
/// repeats. A year that begins in March has months of 30.6 days, rounded (Hinnant's `civil_from_days`).
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_control_api::mesh::template::Operator;
    use evenkeel_control_api::mesh::template::Value;

    fn moment(millis: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(millis)
    }

    #[test]
    fn moments_are_those_of_the_calendar() {
        let clock = Clock::default();
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_001, "2024-02-29T23:59:59.001Z"),
            (1_709_251_199_002, "2024-02-29T23:59:59.002Z"),
            (1_798_761_599_000, "2026-12-31T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            let mut out = Vec::new();
            clock.rfc3339(moment(millis), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn a_format_is_what_strftime_makes_of_it() {
        // `date -u -d @1709251199.042 +...` says the same.
        for (format, expected) in [
            ("%Y/%m/%dT%H:%M:%S%z", "2024/02/29T23:59:59+0000"),
            ("%s.%3f", "1709251199.042"),
            ("%6f %f", "042000 042000000"),
            ("%d/%b/%Y:%T %Z", "29/Feb/2024:23:59:59 UTC"),
            (
                "%a %e %j %y %D %F %R 100%%",
                "Thu 29 060 24 02/29/24 2024-02-29 23:59 100%",
            ),
        ] {
            let Ok(Value::One(expression)) = Value::parse(&format!("%START_TIME({format})%")) else {
                panic!("{format}")
            };
            let Operator::StartTime(parsed) = expression.operator else {
                panic!("{format}")
            };
            let mut out = Vec::new();
            Clock::default().format(&parsed, moment(1_709_251_199_042), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{format}");
        }
    }
}
