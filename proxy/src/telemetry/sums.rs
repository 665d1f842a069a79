//! Adding up what several workers counted.

use crate::failure::Reason;
use crate::telemetry::Counter;
use crate::telemetry::UpDown;
use crate::telemetry::catalogue::Metric;
use crate::telemetry::exposition::Labels;
use crate::telemetry::sink::Sink;

/// One set of labels, and what each worker counted under it.
pub(super) struct Row<'a, S> {
    pub(super) labels: Labels,
    pub(super) parts: Vec<&'a S>,
}

impl<S> Row<'_, S> {
    /// The counts of all workers.
    pub(super) fn total(&self, counter: impl Fn(&S) -> &Counter) -> u64 {
        self.parts.iter().map(|part| counter(part).value()).sum()
    }

    /// Where the gauges of all workers stand together.
    fn stand(&self, gauge: impl Fn(&S) -> &UpDown) -> i64 {
        self.parts.iter().map(|part| gauge(part).value()).sum()
    }
}

/// A counter, and where it is.
pub(super) type CounterOf<S> = (&'static Metric, fn(&S) -> &Counter);

/// Families of one counter in each row.
pub(super) fn counters<S>(sink: &mut Sink<'_>, rows: &[Row<'_, S>], families: &[CounterOf<S>]) {
    for (metric, counter) in families {
        sink.family(metric);
        for row in rows {
            sink.sample(&row.labels, row.total(counter));
        }
    }
}

/// A family of one gauge in each row.
pub(super) fn gauge<S>(sink: &mut Sink<'_>, rows: &[Row<'_, S>], metric: &'static Metric, gauge: fn(&S) -> &UpDown) {
    sink.family(metric);
    for row in rows {
        sink.sample(&row.labels, row.stand(gauge));
    }
}

/// Samples by one more label, without those that never occurred.
pub(super) fn occurred(
    sink: &mut Sink<'_>,
    labels: &Labels,
    name: &str,
    values: impl Iterator<Item = (usize, String)>,
    count: impl Fn(usize) -> u64,
) {
    for (slot, value) in values {
        match count(slot) {
            0 => {}
            count => sink.sample(&labels.with(name, &value), count),
        }
    }
}

/// Every reason's label with the place of its counter.
pub(super) fn reasons() -> impl Iterator<Item = (usize, String)> {
    let reasons = Reason::ALL.into_iter();
    reasons.map(|reason| (reason as usize, reason.label().to_owned()))
}

/// What was closed by reason. An orderly close has the reason `none`, and is shown from the beginning.
pub(super) fn closed(sink: &mut Sink<'_>, labels: &Labels, count: impl Fn(Option<Reason>) -> u64) {
    sink.sample(&labels.with("reason", "none"), count(None));
    occurred(sink, labels, "reason", reasons(), |slot| count(Some(Reason::ALL[slot])));
}
