//! Metrics that were pushed, as a scrape would have them.

use std::collections::BTreeMap;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality;
use opentelemetry_proto::tonic::metrics::v1::HistogramDataPoint;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::NumberDataPoint;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;

use crate::collector::texts;
use crate::metrics::Sample;

/// One push, which may have come in several messages.
#[derive(Clone, Debug, Default)]
pub struct Pushed {
    /// Who sent it.
    pub resource: BTreeMap<String, String>,
    /// Whether it came over gRPC.
    pub grpc: bool,
    /// When it was written, in nanoseconds since 1970.
    pub at: u64,
    /// When counters began, by name and labels.
    pub births: BTreeMap<(String, BTreeMap<String, String>), u64>,
    /// The messages.
    pub messages: usize,
    /// `counter`, `gauge` or `histogram`, and the unit, by name.
    pub kinds: BTreeMap<String, (&'static str, String)>,
    /// Everything, with histograms in buckets that are cumulative.
    pub samples: Vec<Sample>,
    /// The traces of exemplars.
    pub traces: Vec<Vec<u8>>,
}

// === impl Pushed ===

impl Pushed {
    /// Reads a message strictly.
    pub fn read(message: ExportMetricsServiceRequest, grpc: bool) -> Result<Self> {
        let mut pushed = Self {
            grpc,
            messages: 1,
            ..Self::default()
        };
        for from in message.resource_metrics {
            let resource = from.resource.context("a resource")?;
            pushed.resource = texts(&resource.attributes);
            for scoped in from.scope_metrics {
                ensure!(scoped.scope.is_some_and(|scope| scope.name == "evenkeel"), "the scope");
                for metric in scoped.metrics {
                    pushed.add(metric)?;
                }
            }
        }
        Ok(pushed)
    }

    /// A further message of the same push.
    pub fn join(&mut self, other: Self) {
        self.messages += 1;
        self.kinds.extend(other.kinds);
        self.births.extend(other.births);
        self.samples.extend(other.samples);
        self.traces.extend(other.traces);
    }

    /// Cumulative values of one process that went back though they began when they had, and those whose beginning went back.
    pub fn setbacks(pushes: &[Self]) -> Vec<String> {
        let mut pushes: Vec<_> = pushes.iter().collect();
        pushes.sort_by_key(|push| push.at);
        let (mut last, mut setbacks) = (BTreeMap::new(), Vec::new());
        for push in pushes {
            for sample in &push.samples {
                let Some(born) = push.born(sample) else { continue };
                let before = last.insert((&sample.name, &sample.labels), (born, sample.value));
                if before.is_some_and(|(began, value)| born < began || born == began && sample.value < value) {
                    setbacks.push(format!("{sample:?} since {born}, {before:?} before"));
                }
            }
        }
        setbacks
    }

    /// When a sample began that is cumulative.
    fn born(&self, sample: &Sample) -> Option<u64> {
        let Sample { name, labels, .. } = sample;
        let parts = ["_bucket", "_sum", "_count"];
        let whole = parts.iter().find_map(|part| name.strip_suffix(part));
        let family = whole.filter(|whole| self.kinds.contains_key(*whole)).unwrap_or(name);
        let (kind, _) = self.kinds.get(family)?;
        let mut labels = labels.clone();
        labels.remove("le");
        let born = self.births.get(&(family.to_owned(), labels)).copied();
        born.filter(|_| *kind != "gauge")
    }

    fn add(&mut self, metric: Metric) -> Result<()> {
        let Metric { name, unit, data, .. } = metric;
        let kind = match data.with_context(|| format!("{name}: no data"))? {
            Data::Gauge(gauge) => {
                self.numbers(&name, gauge.data_points)?;
                "gauge"
            }
            Data::Sum(sum) => {
                cumulative(&name, sum.aggregation_temporality)?;
                ensure!(sum.is_monotonic, "{name} may go back");
                self.numbers(&name, sum.data_points)?;
                "counter"
            }
            Data::Histogram(histogram) => {
                cumulative(&name, histogram.aggregation_temporality)?;
                for point in histogram.data_points {
                    self.histogram(&name, point)?;
                }
                "histogram"
            }
            other => anyhow::bail!("{name}: {other:?}"),
        };
        self.kinds.insert(name, (kind, unit));
        Ok(())
    }

    fn numbers(&mut self, name: &str, points: Vec<NumberDataPoint>) -> Result<()> {
        for point in points {
            let labels = texts(&point.attributes);
            self.time(name, &labels, point.start_time_unix_nano, point.time_unix_nano)?;
            let value = match point.value.with_context(|| format!("{name}: no value"))? {
                Value::AsInt(value) => value as f64,
                Value::AsDouble(value) => value,
            };
            self.sample(name, labels, value);
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, point: HistogramDataPoint) -> Result<()> {
        let labels = texts(&point.attributes);
        self.time(name, &labels, point.start_time_unix_nano, point.time_unix_nano)?;
        ensure!(
            point.bucket_counts.len() == point.explicit_bounds.len() + 1,
            "{name}: buckets and bounds"
        );
        let bounds = point.explicit_bounds.iter().map(f64::to_string);
        let mut below = 0;
        for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(&point.bucket_counts) {
            below += count;
            let mut labels = labels.clone();
            labels.insert("le".to_owned(), bound);
            self.sample(&format!("{name}_bucket"), labels, below as f64);
        }
        ensure!(
            below == point.count,
            "{name}: {below} in buckets, {} in all",
            point.count
        );
        let sum = point.sum.with_context(|| format!("{name}: no sum"))?;
        self.sample(&format!("{name}_sum"), labels.clone(), sum);
        self.sample(&format!("{name}_count"), labels, below as f64);
        self.traces
            .extend(point.exemplars.into_iter().map(|exemplar| exemplar.trace_id));
        Ok(())
    }

    fn sample(&mut self, name: &str, labels: BTreeMap<String, String>, value: f64) {
        self.samples.push(Sample {
            name: name.to_owned(),
            labels,
            value,
        });
    }

    /// All points of a message were written at once.
    fn time(&mut self, name: &str, labels: &BTreeMap<String, String>, started: u64, at: u64) -> Result<()> {
        ensure!(started > 0 && started <= at, "{name}: from {started} to {at}");
        ensure!(self.at == 0 || self.at == at, "{name}: at {at}, and {}", self.at);
        self.at = at;
        self.births.insert((name.to_owned(), labels.clone()), started);
        Ok(())
    }
}

fn cumulative(name: &str, temporality: i32) -> Result<()> {
    let cumulative = temporality == AggregationTemporality::Cumulative as i32;
    ensure!(cumulative, "{name} has the temporality {temporality}");
    Ok(())
}
