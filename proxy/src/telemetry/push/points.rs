//! Metrics as messages of OTLP (`metrics.proto`).
//!
//! Counters are cumulative sums that never go back, histograms are cumulative with explicit bounds; names stay as in the
//! catalogue, so that a push and a scrape say the same.

use std::mem;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use tokio::sync::mpsc;

use crate::telemetry::catalogue;
use crate::telemetry::catalogue::Metric;
use crate::telemetry::exemplars::Exemplar;
use crate::telemetry::exposition::Kind;
use crate::telemetry::exposition::Labels;
use crate::telemetry::exposition::Number;
use crate::telemetry::histogram::BOUNDS;
use crate::telemetry::histogram::Durations;
use crate::telemetry::otlp::SCOPE;
use crate::telemetry::otlp::wire;
use crate::telemetry::push::Pushes;

/// Of a message. Collectors take 4 MiB.
const BATCH: usize = 256 * 1024;
/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: u64 = 2;

/// What lies between two messages: whoever carries traffic on the same processor does not wait for all of them.
const PAUSE: Duration = Duration::from_micros(200);

/// Points as they go to a collector.
#[derive(Debug)]
pub(super) struct Message {
    /// How many there are.
    pub(super) points: u64,
    pub(super) bytes: Vec<u8>,
}

/// Takes metrics family by family, and passes them on in messages.
#[derive(Debug)]
pub struct Points {
    messages: mpsc::Sender<Message>,
    /// What nobody takes is counted here.
    pushes: Arc<Pushes>,
    /// Who we are, as a message.
    resource: Vec<u8>,
    family: &'static Metric,
    /// Those of the family so far.
    samples: Vec<u8>,
    /// Families of the message so far.
    metrics: Vec<u8>,
    /// Points of the message so far.
    count: u64,
    started: u64,
    now: u64,
}

impl Points {
    pub(super) fn new(
        messages: mpsc::Sender<Message>,
        resource: Vec<u8>,
        started: SystemTime,
        pushes: Arc<Pushes>,
    ) -> Self {
        Self {
            messages,
            pushes,
            resource,
            family: catalogue::BUILD_INFO,
            samples: Vec::new(),
            metrics: Vec::new(),
            count: 0,
            started: nanos(started),
            now: nanos(SystemTime::now()),
        }
    }

    pub(in crate::telemetry) fn family(&mut self, metric: &'static Metric) {
        self.end_family();
        self.family = metric;
    }

    /// `NumberDataPoint`.
    pub(in crate::telemetry) fn sample(&mut self, labels: &Labels, number: Number) {
        let mut point = self.begin(7, labels);
        match number {
            // An integer is `sfixed64`.
            Number::Count(count) => wire::fixed64(6, count, &mut point),
            Number::Level(level) => wire::fixed64(6, level.cast_unsigned(), &mut point),
            Number::Real(real) => wire::fixed64(4, real.to_bits(), &mut point),
        }
        self.end(&point);
    }

    /// `HistogramDataPoint`.
    pub(in crate::telemetry) fn durations(&mut self, labels: &Labels, durations: &Durations) {
        let mut point = self.begin(9, labels);
        wire::fixed64(4, durations.buckets.iter().sum(), &mut point);
        wire::fixed64(5, seconds(durations.nanos).to_bits(), &mut point);
        let counts: Vec<_> = durations.buckets.iter().flat_map(|count| count.to_le_bytes()).collect();
        wire::bytes(6, &counts, &mut point);
        let bounds = BOUNDS.iter().flat_map(|(nanos, _)| seconds(*nanos).to_le_bytes());
        wire::bytes(7, &bounds.collect::<Vec<_>>(), &mut point);
        for kept in durations.exemplars.iter().flatten() {
            wire::bytes(8, &exemplar(kept), &mut point);
        }
        self.end(&point);
    }

    pub(in crate::telemetry) fn finish(mut self) {
        self.end_family();
        self.send();
    }

    /// A point with its labels and times; the numbers of these fields differ by kind.
    fn begin(&self, attributes: u32, labels: &Labels) -> Vec<u8> {
        let mut point = Vec::with_capacity(256);
        // Something may have begun while this was written.
        let born = labels.born().map_or(self.started, nanos);
        wire::fixed64(2, born.min(self.now), &mut point);
        wire::fixed64(3, self.now, &mut point);
        for (label, value) in labels.pairs() {
            wire::text(attributes, &label, &value, &mut point);
        }
        point
    }

    fn end(&mut self, point: &[u8]) {
        wire::bytes(1, point, &mut self.samples);
        self.count += 1;
        if self.metrics.len() + self.samples.len() >= BATCH {
            self.end_family();
            self.send();
        }
    }

    /// `Metric`.
    fn end_family(&mut self) {
        if self.samples.is_empty() {
            return;
        }
        let mut data = mem::take(&mut self.samples);
        let kind = match self.family.kind {
            Kind::Gauge => 5,
            Kind::Counter => {
                wire::varint(2, CUMULATIVE, &mut data);
                // It never goes back.
                wire::varint(3, 1, &mut data);
                7
            }
            Kind::Histogram => {
                wire::varint(2, CUMULATIVE, &mut data);
                9
            }
        };
        let mut metric = Vec::with_capacity(data.len() + 256);
        wire::bytes(1, self.family.name.as_bytes(), &mut metric);
        wire::bytes(2, self.family.help.as_bytes(), &mut metric);
        wire::bytes(3, unit(self.family.name).as_bytes(), &mut metric);
        wire::bytes(kind, &data, &mut metric);
        wire::bytes(2, &metric, &mut self.metrics);
    }

    /// `ExportMetricsServiceRequest`.
    fn send(&mut self) {
        let (metrics, points) = (mem::take(&mut self.metrics), mem::take(&mut self.count));
        if metrics.is_empty() {
            return;
        }
        // Nobody takes the rest of a push that has failed.
        if self.messages.is_closed() {
            self.pushes.points.lose(points);
            return;
        }
        let mut scope = Vec::new();
        wire::bytes(1, SCOPE.as_bytes(), &mut scope);
        wire::bytes(2, env!("CARGO_PKG_VERSION").as_bytes(), &mut scope);
        let mut scoped = Vec::with_capacity(metrics.len() + 64);
        wire::bytes(1, &scope, &mut scoped);
        scoped.extend_from_slice(&metrics);
        let mut all = Vec::with_capacity(scoped.len() + self.resource.len() + 16);
        wire::bytes(1, &self.resource, &mut all);
        wire::bytes(2, &scoped, &mut all);
        let mut bytes = Vec::with_capacity(all.len() + 8);
        wire::bytes(1, &all, &mut bytes);
        // It fails where the push has failed meanwhile.
        if self.messages.blocking_send(Message { points, bytes }).is_err() {
            self.pushes.points.lose(points);
        }
        thread::sleep(PAUSE);
    }
}

/// `Exemplar`.
fn exemplar(exemplar: &Exemplar) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    wire::fixed64(2, nanos(exemplar.at), &mut out);
    wire::fixed64(3, seconds(exemplar.nanos).to_bits(), &mut out);
    wire::bytes(4, &exemplar.span.to_bytes(), &mut out);
    wire::bytes(5, &exemplar.trace.to_bytes(), &mut out);
    out
}

/// As UCUM writes it, where the name has one.
fn unit(name: &str) -> &'static str {
    let name = name.strip_suffix("_total").unwrap_or(name);
    match name.rsplit('_').next() {
        Some("seconds") => "s",
        Some("bytes") => "By",
        _ => "",
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

fn nanos(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
