//! The metrics of the control plane's servers and resources; none with a mesh document.
//!
//! Labels are servers and types: names of resources, and paths of fields, would make series without bound.

use crate::telemetry::Family;
use crate::telemetry::Metric;
use crate::telemetry::Sample;
use crate::telemetry::catalogue;
use crate::telemetry::catalogue::STATES;
use evenkeel_control_api::ads::Connection;
use evenkeel_control_api::ads::KindStatus;
use evenkeel_control_api::ads::ServerStatus;
use evenkeel_control_api::ads::Status;
use evenkeel_control_api::resource;
use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;
use tokio::time::Instant;

/// All of them.
pub(in crate::admin) fn families(status: &Status) -> Vec<Family> {
    let mut families = servers(&status.servers());
    families.extend(resources(status));
    families.extend(kinds(&status.kinds()));
    families
}

/// A family, and what it reads off a server.
type OfServer = (&'static Metric, fn(&ServerStatus) -> f64);

fn servers(servers: &[ServerStatus]) -> Vec<Family> {
    let readings: [OfServer; 5] = [
        (catalogue::CONTROL_PLANE_CONNECTED, |server| {
            f64::from(matches!(server.connection, Connection::Connected { .. }))
        }),
        (catalogue::CONTROL_PLANE_STREAMS, |server| server.streams as f64),
        (catalogue::CONTROL_PLANE_RESPONSES, |server| server.responses as f64),
        (catalogue::CONTROL_PLANE_REFUSED, |server| server.refused as f64),
        (catalogue::CONTROL_PLANE_FAILURES, |server| server.failures as f64),
    ];
    let family = |(metric, read): OfServer| Family {
        metric,
        samples: servers
            .iter()
            .map(|server| Sample {
                labels: vec![("server", server.uri.clone())],
                value: read(server),
                since: None,
            })
            .collect(),
    };
    readings.map(family).into()
}

/// Of every type and state there is a sample: an alert on one that is absent would never ring.
fn resources(status: &Status) -> [Family; 3] {
    let mut versions = Vec::new();
    let mut by_state = Vec::new();
    let mut ignored = Vec::new();
    for kind in resource::Kind::ALL {
        let mut counts = [0_usize; STATES.len()];
        let mut notes = 0;
        let mut version = DefaultHasher::new();
        status.each(kind, |name, entry| {
            (name, entry.version()).hash(&mut version);
            notes += entry.notes().len();
            for (count, state) in counts.iter_mut().zip(STATES) {
                *count += usize::from(entry.state() == state);
            }
        });
        ignored.push(sample(kind, notes as f64));
        // As many bits as a float holds.
        versions.push(sample(kind, (version.finish() >> 11) as f64));
        by_state.extend(STATES.into_iter().zip(counts).map(|(state, count)| Sample {
            labels: vec![("type", kind.label().to_owned()), ("state", state.label().to_owned())],
            value: count as f64,
            since: None,
        }));
    }
    [
        Family {
            metric: catalogue::XDS_RESOURCES,
            samples: by_state,
        },
        Family {
            metric: catalogue::XDS_IGNORED_FIELDS,
            samples: ignored,
        },
        Family {
            metric: catalogue::XDS_VERSION,
            samples: versions,
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
            metric: catalogue::XDS_ACCEPTED,
            samples: samples(|one| Some(one.accepted as f64)),
        },
        Family {
            metric: catalogue::XDS_REFUSED,
            samples: samples(|one| Some(one.refused as f64)),
        },
        Family {
            metric: catalogue::XDS_LAST_RESPONSE,
            samples: samples(|one| unix_seconds(one.updated?)),
        },
    ]
}

fn sample(kind: resource::Kind, value: f64) -> Sample {
    Sample {
        labels: vec![("type", kind.label().to_owned())],
        value,
        since: None,
    }
}

/// Whole seconds: the two clocks are read one after the other, and a scrape should see the same as the one before.
fn unix_seconds(moment: Instant) -> Option<f64> {
    let at = SystemTime::now().checked_sub(moment.elapsed())?;
    let since = at.duration_since(UNIX_EPOCH).ok()?;
    Some(since.as_secs_f64().round())
}
