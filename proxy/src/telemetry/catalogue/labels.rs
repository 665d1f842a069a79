//! The labels of metrics, and where their values come from.

use super::Label;
use super::Values;
use crate::failure::Reason;
use crate::lifecycle::Phase;
use crate::telemetry::Direction;
use crate::telemetry::Eviction;
use crate::telemetry::Protocol;
use crate::telemetry::Speculation;
use crate::telemetry::Verdict;
use crate::telemetry::Version;
use crate::telemetry::histogram::BOUNDS;
use crate::telemetry::status::GrpcStatuses;
use crate::telemetry::status::Statuses;
use evenkeel_control_api::ads::State;
use evenkeel_control_api::resource;

/// Every phase of the process.
pub const PHASES: [Phase; 5] = [
    Phase::Starting,
    Phase::Ready,
    Phase::Parting,
    Phase::Draining,
    Phase::Quitting,
];

/// Everything that may have become of a resource.
pub const STATES: [State; 5] = [
    State::Requested,
    State::Acked,
    State::Nacked,
    State::DoesNotExist,
    State::Timeout,
];

/// Why what was to go to a collector is lost.
pub const EXPORT_LOSSES: [&str; 3] = ["queue_full", "export_failed", "rejected"];

/// The same of points of a push, which wait in no queue.
pub const POINT_LOSSES: [&str; 2] = ["export_failed", "rejected"];

/// What becomes of a push of metrics.
pub const PUSH_RESULTS: [&str; 3] = ["accepted", "failed", "skipped"];

/// Why who listens to the tap does not get an event.
pub const TAP_LOSSES: [&str; 2] = ["limit", "slow_reader"];

pub(super) const DIRECTION: Label = listed("direction", || Direction::ALL.map(|one| one.label().into()).into());
pub(super) const SERVICE: Label = configured(
    "service",
    "the name of a service and its port, as `web:80`; `inbound:PORT` and `inbound` for the application's own ports, \
     `passthrough` for addresses that no service has, `other` for services beyond `proxy.metrics.services`; with a control plane of others the `stat_prefix` of the filter",
);
pub(super) const PROTOCOL: Label = listed("protocol", || Protocol::ALL.map(|one| one.label().into()).into());
pub(super) const VERSION: Label = listed("protocol", || Version::ALL.map(|one| one.label().into()).into());
pub(super) const STATUS: Label = listed("status", || Statuses::labels().map(|(_, label)| label).collect());
pub(super) const GRPC_STATUS: Label = listed("grpc_status", || {
    GrpcStatuses::labels().map(|(_, label)| label).collect()
});
pub(super) const REASON: Label = listed("reason", reasons);
/// An orderly close has the reason `none`.
pub(super) const CLOSED_BY: Label = listed("reason", || ["none".to_owned()].into_iter().chain(reasons()).collect());
pub(super) const EVICTION: Label = listed("reason", || Eviction::ALL.map(|one| one.label().into()).into());
pub(super) const LE: Label = listed("le", || {
    let bounds = BOUNDS.iter().map(|(_, label)| *label).chain(["+Inf"]);
    bounds.map(str::to_owned).collect()
});
pub(super) const VERDICT: Label = listed("result", || Verdict::ALL.map(|one| one.label().into()).into());
pub(super) const SPECULATION: Label = listed("result", || Speculation::ALL.map(|one| one.label().into()).into());
pub(super) const UPDATE: Label = listed("result", || ["accepted", "refused"].map(str::to_owned).into());
pub(super) const EXPORT_LOSS: Label = listed("reason", || EXPORT_LOSSES.map(str::to_owned).into());
pub(super) const POINT_LOSS: Label = listed("reason", || POINT_LOSSES.map(str::to_owned).into());
pub(super) const PUSH: Label = listed("result", || PUSH_RESULTS.map(str::to_owned).into());
pub(super) const TAP_LOSS: Label = listed("reason", || TAP_LOSSES.map(str::to_owned).into());
pub(super) const PHASE: Label = listed("phase", || PHASES.map(|one| one.label().into()).into());
pub(super) const TYPE: Label = listed("type", || {
    resource::Kind::ALL.into_iter().map(|one| one.label().into()).collect()
});
pub(super) const STATE: Label = listed("state", || STATES.map(|one| one.label().into()).into());
pub(super) const WORKER: Label = configured("worker", "the number of a worker, from 0");
pub(super) const CLUSTER: Label = configured("cluster", "the name of a cluster in xDS, as `/clusters` shows it");
pub(super) const ENDPOINT: Label = configured(
    "endpoint",
    "the address of an endpoint that the configuration names; none for those that only applications dial",
);
pub(super) const SERVER: Label = configured("server", "the address of a control plane, as it is configured");
pub(super) const BUILD: Label = configured("version", "the version of the program");

const fn listed(name: &'static str, values: fn() -> Vec<String>) -> Label {
    Label {
        name,
        values: Values::Listed(values),
    }
}

const fn configured(name: &'static str, values: &'static str) -> Label {
    Label {
        name,
        values: Values::Configured(values),
    }
}

fn reasons() -> Vec<String> {
    Reason::ALL.map(|reason| reason.label().to_owned()).into()
}
