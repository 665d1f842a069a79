//! The text format of Prometheus (version 0.0.4), and `OpenMetrics` (version 1.0.0), which differs in little.
//!
//! A page is written in pieces. Between them the thread gives way: who carries traffic on the same processor does not wait for
//! a hundred thousand lines.

use std::fmt;
use std::fmt::Display;
use std::fmt::Write;
use std::thread;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use crate::telemetry::catalogue::Metric;
use crate::telemetry::exemplars::Exemplar;
use crate::telemetry::histogram::BOUNDS;
use crate::telemetry::histogram::Durations;

/// Bytes of a page that are written at once: a fraction of a millisecond.
const PIECE: usize = 64 * 1024;
/// What lies between two pieces. Yielding alone gives nothing away while the scheduler finds that we have had little.
const PAUSE: Duration = Duration::from_micros(200);

/// How a page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For everyone.
    Prometheus,
    /// For who asks for it.
    OpenMetrics,
}

/// What a family's samples mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process lives; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets, a sum and a count.
    Histogram,
}

impl Kind {
    /// As the page says it.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Samples of one name that do not come out of books.
#[derive(Clone, Debug)]
pub struct Family {
    /// Counter or gauge.
    pub metric: &'static Metric,
    /// One for each set of labels.
    pub samples: Vec<Sample>,
}

/// One value of a [`Family`].
#[derive(Clone, Debug)]
pub struct Sample {
    /// Names and values; values may hold anything.
    pub labels: Vec<(&'static str, String)>,
    /// In the unit that the name says.
    pub value: f64,
    /// Since when it is counted; `None`: since the process is there.
    pub since: Option<SystemTime>,
}

impl Family {
    /// One value without labels.
    pub fn of(metric: &'static Metric, value: f64) -> Self {
        let labels = Vec::new();
        Self {
            metric,
            samples: vec![Sample {
                labels,
                value,
                since: None,
            }],
        }
    }
}

/// The value of a sample.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Count(u64),
    Level(i64),
    Real(f64),
}

impl Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(formatter),
            Self::Level(level) => level.fmt(formatter),
            Self::Real(real) => real.fmt(formatter),
        }
    }
}

impl From<u64> for Number {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<usize> for Number {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

impl From<i64> for Number {
    fn from(level: i64) -> Self {
        Self::Level(level)
    }
}

impl From<f64> for Number {
    fn from(real: f64) -> Self {
        Self::Real(real)
    }
}

/// A page as it is written, family by family.
#[derive(Debug)]
pub(super) struct Page {
    form: Form,
    text: String,
    /// Where the piece that is being written ends.
    until: usize,
    family: &'static str,
}

impl Page {
    pub(super) fn new(form: Form) -> Self {
        Self {
            form,
            text: String::new(),
            until: PIECE,
            family: "",
        }
    }

    pub(super) fn family(&mut self, metric: &'static Metric) {
        let Metric { name, kind, help, .. } = *metric;
        self.family = name;
        let (name, quotes) = match self.form {
            Form::Prometheus => (name, Quotes::Plain),
            Form::OpenMetrics => (name.strip_suffix("_total").unwrap_or(name), Quotes::Escaped),
        };
        self.text.extend(["# TYPE ", name, " ", kind.label(), "\n"]);
        if let Some(unit) = ["seconds", "bytes"].into_iter().find(|unit| is_in(name, unit))
            && self.form == Form::OpenMetrics
        {
            self.text.extend(["# UNIT ", name, " ", unit, "\n"]);
        }
        self.text.extend(["# HELP ", name, " "]);
        escape(&mut self.text, help, quotes);
        self.text.push('\n');
    }

    pub(super) fn sample(&mut self, labels: &Labels, value: Number) {
        self.line("", labels, value, None);
    }

    pub(super) fn durations(&mut self, labels: &Labels, durations: &Durations) {
        let mut below = 0_u64;
        let bounds = BOUNDS.iter().map(|(_, label)| *label).chain(["+Inf"]);
        for (index, bound) in bounds.enumerate() {
            below += durations.buckets[index];
            let exemplar = durations.exemplars[index].filter(|_| self.form == Form::OpenMetrics);
            let labels = labels.with("le", &self.bound(bound));
            self.line("_bucket", &labels, below.into(), exemplar);
        }
        self.line("_sum", labels, (durations.nanos as f64 / 1e9).into(), None);
        // The last bucket rather than a counter of its own: a page is consistent while a worker counts on.
        self.line("_count", labels, below.into(), None);
    }

    /// `suffix` is for the parts of a histogram.
    fn line(&mut self, suffix: &str, labels: &Labels, value: Number, exemplar: Option<Exemplar>) {
        self.text.extend([self.family, suffix]);
        if !labels.text.is_empty() {
            self.text.extend(["{", &labels.text, "}"]);
        }
        write!(self.text, " {value}").expect("a String takes all that is written");
        if let Some(exemplar) = exemplar {
            let Exemplar { trace, span, nanos, at } = exemplar;
            let seconds = nanos as f64 / 1e9;
            let at = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
            write!(
                self.text,
                " # {{trace_id=\"{trace}\",span_id=\"{span}\"}} {seconds} {at:.3}"
            )
            .expect("a String takes all that is written");
        }
        self.text.push('\n');
        if self.text.len() >= self.until {
            thread::sleep(PAUSE);
            self.until = self.text.len() + PIECE;
        }
    }

    /// A bucket's bound as its label: in `OpenMetrics` it is a number with a fraction.
    fn bound(&self, bound: &str) -> String {
        match self.form {
            Form::OpenMetrics if !bound.contains(['.', '+']) => format!("{bound}.0"),
            _ => bound.to_owned(),
        }
    }

    pub(super) fn finish(mut self) -> String {
        if self.form == Form::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

/// Whether a name has this unit.
fn is_in(name: &str, unit: &str) -> bool {
    name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_'))
}

/// Labels as they stand between the braces, and since when what they name is counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Labels {
    text: String,
    /// `None`: since the process is there.
    since: Option<SystemTime>,
}

impl Labels {
    pub(super) fn with(&self, name: &str, value: &str) -> Self {
        let mut text = self.text.clone();
        if !text.is_empty() {
            text.push(',');
        }
        text.extend([name, "=\""]);
        escape(&mut text, value, Quotes::Escaped);
        text.push('"');
        Self {
            text,
            since: self.since,
        }
    }

    pub(super) fn since(self, since: Option<SystemTime>) -> Self {
        Self { since, ..self }
    }

    /// Since when what they name is counted, if not since the process is there.
    pub(super) fn born(&self) -> Option<SystemTime> {
        self.since
    }

    /// Names and values.
    pub(super) fn pairs(&self) -> Vec<(String, String)> {
        // What we have written we can read.
        labels(&self.text).unwrap_or_default()
    }
}

/// Names and values of labels as they stand between the braces; `None`: the text is something else.
pub fn labels(text: &str) -> Option<Vec<(String, String)>> {
    let mut labels = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = after.chars();
        loop {
            match characters.next()? {
                '"' => break,
                '\\' => value.push(match characters.next()? {
                    'n' => '\n',
                    other => other,
                }),
                other => value.push(other),
            }
        }
        labels.push((name.to_owned(), value));
        rest = characters.as_str();
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    Some(labels)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    /// In help texts.
    Plain,
    /// In label values.
    Escaped,
}

fn escape(text: &mut String, value: &str, quotes: Quotes) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' if quotes == Quotes::Escaped => text.push_str("\\\""),
            other => text.push(other),
        }
    }
}
