//! Where metrics are written family by family: onto the page of a scrape, or into messages that are pushed.

use crate::telemetry::catalogue::Metric;
use crate::telemetry::exposition::Labels;
use crate::telemetry::exposition::Number;
use crate::telemetry::exposition::Page;
use crate::telemetry::histogram::Durations;
use crate::telemetry::push::Points;

/// One of both.
#[derive(Debug)]
pub(super) enum Sink<'a> {
    Page(&'a mut Page),
    Points(&'a mut Points),
}

impl Sink<'_> {
    /// Begins the family that the next samples belong to.
    pub(super) fn family(&mut self, metric: &'static Metric) {
        match self {
            Self::Page(page) => page.family(metric),
            Self::Points(points) => points.family(metric),
        }
    }

    /// Adds a sample of a counter or gauge.
    pub(super) fn sample(&mut self, labels: &Labels, value: impl Into<Number>) {
        match self {
            Self::Page(page) => page.sample(labels, value.into()),
            Self::Points(points) => points.sample(labels, value.into()),
        }
    }

    /// Adds a histogram.
    pub(super) fn durations(&mut self, labels: &Labels, durations: &Durations) {
        match self {
            Self::Page(page) => page.durations(labels, durations),
            Self::Points(points) => points.durations(labels, durations),
        }
    }
}
