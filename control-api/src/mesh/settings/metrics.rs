//! `metrics:`, which says what series there are of services.

use super::Collector;
use std::time::Duration;

/// Which series there are of services, and who we are in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Besides direction, service and protocol (default none).
    pub labels: Vec<SeriesLabel>,
    /// What this pod is part of; `None`: nobody says it.
    pub workload: Option<String>,
    /// The namespace of this pod; `None`: nobody says it.
    pub namespace: Option<String>,
    /// Where this pod runs; `None`: nobody says it.
    pub zone: Option<String>,
    /// Services of a direction that have series of their own (default 10,000); the others share one.
    pub services: usize,
    /// Where all of them go besides; `None`: nowhere (default).
    pub push: Option<Push>,
    /// How long a service that nobody uses keeps its series (default 1 h); `None`: for ever.
    pub idle: Option<Duration>,
}

/// `push:`, which sends the metrics to a collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// Where they go.
    pub collector: Collector,
    /// How often (default 30 s).
    pub interval: Duration,
    /// `service.name`; `None`: as that of spans, else from the environment.
    pub service: Option<String>,
}

/// A label that series of services may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeriesLabel {
    /// The workload that asks.
    SourceWorkload,
    /// Its namespace.
    SourceNamespace,
    /// Where it runs.
    SourceZone,
    /// The workload that is asked.
    DestinationWorkload,
    /// Its namespace.
    DestinationNamespace,
    /// Where it runs.
    DestinationZone,
}

impl SeriesLabel {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::SourceWorkload,
        Self::SourceNamespace,
        Self::SourceZone,
        Self::DestinationWorkload,
        Self::DestinationNamespace,
        Self::DestinationZone,
    ];

    /// What it is called, in documents and in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::SourceWorkload => "source_workload",
            Self::SourceNamespace => "source_namespace",
            Self::SourceZone => "source_zone",
            Self::DestinationWorkload => "destination_workload",
            Self::DestinationNamespace => "destination_namespace",
            Self::DestinationZone => "destination_zone",
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            labels: Vec::new(),
            workload: None,
            namespace: None,
            zone: None,
            services: 10_000,
            push: None,
            idle: Some(Duration::from_hours(1)),
        }
    }
}
