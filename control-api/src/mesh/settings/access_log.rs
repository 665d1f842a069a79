//! `proxy.access_log`: what is written of requests and opaque connections when they end, and of which.

use super::Collector;
use crate::mesh::template::Template;
use std::time::Duration;

/// `access_log`: a line for each request and opaque connection, when it ends.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessLog {
    /// What a line looks like.
    pub lines: Lines,
    /// Of which there is one.
    pub filter: LogFilter,
    /// Where the same goes as records of OTLP, besides; `None`: nowhere.
    pub otlp: Option<LogRecords>,
}

/// `access_log.otlp`: a record of OpenTelemetry for each line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecords {
    /// Where records go.
    pub collector: Collector,
    /// `service.name`; `None`: as that of spans, else from the environment.
    pub service: Option<String>,
}

/// What a line looks like.
#[derive(Clone, Debug, PartialEq)]
pub enum Lines {
    /// `key=value`, for people.
    Text,
    /// An object, for programs.
    Json,
    /// As the document says.
    Template(Template),
}

/// `access_log.filter`: of which requests and connections there is a line. All of it must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// The status is one of these; empty: any, and none.
    pub status: Vec<StatusRange>,
    /// It took at least this long.
    pub duration: Duration,
    /// Only what failed.
    pub failed: bool,
    /// So many of a million, by chance; `None`: all.
    pub sample: Option<u32>,
}

/// Statuses of HTTP, from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusRange {
    first: u16,
    last: u16,
}

impl AccessLog {
    /// Lines of this kind, of everything.
    pub fn all(lines: Lines) -> Self {
        Self {
            lines,
            filter: LogFilter::default(),
            otlp: None,
        }
    }
}

impl StatusRange {
    /// What may stand for one.
    pub const FORMS: &'static str = "a status such as 404, a class such as 5xx, a range such as 400-499, or 500+";

    /// Reads one of [`Self::FORMS`].
    pub fn parse(text: &str) -> Option<Self> {
        let status = |text: &str| {
            let number = text.parse().ok().filter(|number| (100..=999).contains(number));
            number.filter(|_| text.len() == 3)
        };
        let (first, last) = if let Some(class) = text.strip_suffix("xx") {
            let class: u16 = class.parse().ok().filter(|_| class.len() == 1)?;
            (class * 100, class * 100 + 99)
        } else if let Some(first) = text.strip_suffix('+') {
            (status(first)?, 999)
        } else if let Some((first, last)) = text.split_once('-') {
            (status(first)?, status(last)?)
        } else {
            (status(text)?, status(text)?)
        };
        (first >= 100 && first <= last).then_some(Self { first, last })
    }

    /// Whether a status is one of them.
    pub fn has(self, status: u16) -> bool {
        (self.first..=self.last).contains(&status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_statuses_has_four_forms() {
        for (text, inside, outside) in [
            ("404", [404, 404], [403, 405]),
            ("5xx", [500, 599], [499, 600]),
            ("400-428", [400, 428], [399, 429]),
            ("500+", [500, 999], [499, 100]),
        ] {
            let range = StatusRange::parse(text).unwrap();
            assert!(inside.into_iter().all(|status| range.has(status)), "{text}");
            assert!(!outside.into_iter().any(|status| range.has(status)), "{text}");
        }
        for wrong in [
            "", "0xx", "xx", "5x", "99", "1000", "+", "499-400", "-404", "404-", "+04", "5xx+", "4 4",
        ] {
            assert_eq!(StatusRange::parse(wrong), None, "{wrong}");
        }
    }
}
