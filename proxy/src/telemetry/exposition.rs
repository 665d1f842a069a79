//! The text format of Prometheus (version 0.0.4).

use std::fmt::Display;
use std::fmt::Write;

use crate::telemetry::catalogue::Metric;

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
}

impl Family {
    /// One value without labels.
    pub fn of(metric: &'static Metric, value: f64) -> Self {
        let labels = Vec::new();
        Self {
            metric,
            samples: vec![Sample { labels, value }],
        }
    }
}

/// A page as it is written, family by family.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
    family: &'static str,
}

impl Page {
    /// Begins the family that the next samples belong to.
    pub(super) fn family(&mut self, metric: &'static Metric) {
        let Metric { name, kind, help, .. } = *metric;
        self.family = name;
        self.text.extend(["# HELP ", name, " "]);
        escape(&mut self.text, help, Quotes::Plain);
        self.text.extend(["\n# TYPE ", name, " ", kind.label(), "\n"]);
    }

    /// Adds a sample. `suffix` is for the parts of a histogram.
    pub(super) fn sample(&mut self, suffix: &str, labels: &Labels, value: impl Display) {
        self.text.extend([self.family, suffix]);
        if !labels.0.is_empty() {
            self.text.extend(["{", &labels.0, "}"]);
        }
        writeln!(self.text, " {value}").expect("a String takes all that is written");
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// Labels as they stand between the braces.
#[derive(Clone, Debug, Default)]
pub(super) struct Labels(String);

impl Labels {
    pub(super) fn with(&self, name: &str, value: &str) -> Self {
        let mut text = self.0.clone();
        if !text.is_empty() {
            text.push(',');
        }
        text.extend([name, "=\""]);
        escape(&mut text, value, Quotes::Escaped);
        text.push('"');
        Self(text)
    }
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
