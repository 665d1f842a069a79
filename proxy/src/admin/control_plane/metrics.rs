//! The metrics of the control plane's servers and resources; none with a mesh document.
//!
//! Labels are servers and types: names of resources, and paths of fields, would make series without bound.

use crate::telemetry::Family;
use crate::telemetry::Kind;
use crate::telemetry::Sample;
use evenkeel_control_api::ads::Connection;
use evenkeel_control_api::ads::KindStatus;
use evenkeel_control_api::ads::ServerStatus;
use evenkeel_control_api::ads::State;
use evenkeel_control_api::ads::Status;
use evenkeel_control_api::resource;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;
use tokio::time::Instant;

const STATES: [State; 5] = [
    State::Requested,
    State::Acked,
    State::Nacked,
    State::DoesNotExist,
    State::Timeout,
];

/// All of them.
pub(in crate::admin) fn families(status: &Status) -> Vec<Family> {
    let mut families = servers(&status.servers());
    families.extend(resources(status));
    families.extend(kinds(&status.kinds()));
    families
}

/// A family, and what it reads off a server.
type OfServer = (&'static str, Kind, &'static str, fn(&ServerStatus) -> f64);

fn servers(servers: &[ServerStatus]) -> Vec<Family> {
    let readings: [OfServer; 4] = [
        (
            "evenkeel_control_plane_connected",
            Kind::Gauge,
            "Whether there is a stream to this server of the control plane.",
            |server| f64::from(matches!(server.connection, Connection::Connected { .. })),
        ),
        (
            "evenkeel_control_plane_streams_total",
            Kind::Counter,
            "Streams that were opened.",
            |server| server.streams as f64,
        ),
        (
            "evenkeel_control_plane_responses_total",
            Kind::Counter,
            "Responses that came.",
            |server| server.responses as f64,
        ),
        (
            "evenkeel_control_plane_failures_total",
            Kind::Counter,
            "Attempts that ended without a response.",
            |server| server.failures as f64,
        ),
    ];
    let family = |(name, kind, help, read): OfServer| Family {
        name,
        kind,
        help,
        samples: servers
            .iter()
            .map(|server| Sample {
                labels: vec![("server", server.uri.clone())],
                value: read(server),
            })
            .collect(),
    };
    readings.map(family).into()
}

/// Of every type and state there is a sample: an alert on one that is absent would never ring.
fn resources(status: &Status) -> [Family; 2] {
    let mut by_state = Vec::new();
    let mut ignored = Vec::new();
    for kind in resource::Kind::ALL {
        let mut counts = [0_usize; STATES.len()];
        let mut notes = 0;
        status.each(kind, |_, entry| {
            notes += entry.notes().len();
            for (count, state) in counts.iter_mut().zip(STATES) {
                *count += usize::from(entry.state() == state);
            }
        });
        ignored.push(sample(kind, notes as f64));
        by_state.extend(STATES.into_iter().zip(counts).map(|(state, count)| Sample {
            labels: vec![("type", kind.label().to_owned()), ("state", state.label().to_owned())],
            value: count as f64,
        }));
    }
    [
        Family {
            name: "evenkeel_xds_resources",
            kind: Kind::Gauge,
            help: "Resources that something is known of, by what became of the version that came last.",
            samples: by_state,
        },
        Family {
            name: "evenkeel_xds_ignored_fields",
            kind: Kind::Gauge,
            help: "Fields of resources in use that have no effect here.",
            samples: ignored,
        },
    ]
}

fn kinds(kinds: &[KindStatus]) -> [Family; 3] {
    let samples = |read: fn(&KindStatus) -> Option<f64>| {
        let samples = kinds.iter().filter_map(|one| Some(sample(one.kind, read(one)?)));
        samples.collect()
    };
    [
        Family {
            name: "evenkeel_xds_accepted_total",
            kind: Kind::Counter,
            help: "Resources that were taken, each time that they came.",
            samples: samples(|one| Some(one.accepted as f64)),
        },
        Family {
            name: "evenkeel_xds_refused_total",
            kind: Kind::Counter,
            help: "Resources that were refused, each time that they came.",
            samples: samples(|one| Some(one.refused as f64)),
        },
        Family {
            name: "evenkeel_xds_last_response_timestamp_seconds",
            kind: Kind::Gauge,
            help: "When the last response of this type came, since 1970.",
            samples: samples(|one| unix_seconds(one.updated?)),
        },
    ]
}

fn sample(kind: resource::Kind, value: f64) -> Sample {
    Sample {
        labels: vec![("type", kind.label().to_owned())],
        value,
    }
}

/// Whole seconds: the two clocks are read one after the other, and a scrape should see the same as the one before.
fn unix_seconds(moment: Instant) -> Option<f64> {
    let at = SystemTime::now().checked_sub(moment.elapsed())?;
    let since = at.duration_since(UNIX_EPOCH).ok()?;
    Some(since.as_secs_f64().round())
}
