//! What became of what goes to a collector, as the proxy counts it.

use anyhow::Result;
use evenkeel_tests::mesh::Mesh;
use evenkeel_tests::metrics::Metrics;

use crate::world::DEADLINE;

/// The names of the counters of one kind.
pub(crate) struct Fate {
    exported: &'static str,
    dropped: &'static str,
}

/// Of spans.
pub(crate) const SPANS: Fate = Fate {
    exported: "evenkeel_spans_exported_total",
    dropped: "evenkeel_spans_dropped_total",
};

/// Of records of the access log.
pub(crate) const RECORDS: Fate = Fate {
    exported: "evenkeel_access_log_exported_total",
    dropped: "evenkeel_access_log_export_dropped_total",
};

impl Fate {
    pub(crate) fn exported(&self, metrics: &Metrics) -> usize {
        metrics.value(self.exported, &[]) as usize
    }

    pub(crate) fn dropped(&self, metrics: &Metrics, reason: &str) -> usize {
        metrics.value(self.dropped, &[("reason", reason)]) as usize
    }

    /// Waits until what comes of so many requests is exported or lost.
    pub(crate) fn wait_for_all(&self, mesh: &Mesh, requests: usize) -> Result<Metrics> {
        let lost = |metrics: &Metrics| self.dropped(metrics, "queue_full") + self.dropped(metrics, "export_failed");
        mesh.wait_for_metrics(DEADLINE, |metrics| self.exported(metrics) + lost(metrics) == requests)
    }
}
