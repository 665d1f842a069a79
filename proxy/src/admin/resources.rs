//! Every resource with its version, where it comes from and when it came; and every one that was refused, with the reason.

use super::table;
use super::table::or_dash;
use super::times::Clock;
use crate::control::status::Status;
use crate::telemetry::access_log::rfc3339;
use evenkeel_control_api::ads;
use evenkeel_control_api::ads::Entry;
use evenkeel_control_api::fault::Note;
use evenkeel_control_api::resource::Kind;
use serde::Serialize;
use std::fmt::Write;
use tokio::time::Instant;

/// A resource, wherever it comes from.
#[derive(Debug, Serialize)]
pub(super) struct Resource {
    #[serde(rename = "type")]
    kind: &'static str,
    name: String,
    /// Of the last good version; empty: there is none.
    version: String,
    /// A mesh document, or a server of the control plane; empty: there is no good version.
    source: String,
    state: &'static str,
    /// When it came to this state, or was last updated in it.
    changed_at: String,
    changed_seconds_ago: f64,
    /// Why the version that came last is not in use.
    refusal: Option<Refusal>,
    /// What has no effect here.
    notes: Vec<String>,
}

/// Why a version is not in use.
#[derive(Debug, Serialize)]
struct Refusal {
    version: String,
    source: String,
    at: String,
    seconds_ago: f64,
    faults: Vec<String>,
}

/// What a control plane said. The client waits while its entries are looked at, so they are copied, and put in words
/// afterwards.
pub(super) fn of_control_plane(status: &ads::Status) -> Vec<Resource> {
    let clock = Clock::now();
    let mut entries = Vec::new();
    for kind in Kind::ALL {
        status.each(kind, |name, entry| entries.push((kind, name.to_owned(), entry.clone())));
    }
    let resource = |(kind, name, entry): (Kind, String, Entry)| delivered(kind, name, &entry, &clock);
    entries.into_iter().map(resource).collect()
}

/// What a mesh document says; all of it is in use, for one that is refused is refused whole.
pub(super) fn of_document(status: &Status) -> Vec<Resource> {
    let clock = Clock::now();
    let documents = status.document.iter();
    let resources = documents.flat_map(|document| document.resources.iter().map(move |one| (document, one)));
    let resource = resources.map(|(document, ((kind, name), revision))| Resource {
        kind: kind.label(),
        name: name.to_string(),
        version: revision.generation.to_string(),
        source: document.source.to_string(),
        state: ads::State::Acked.label(),
        changed_at: rfc3339(revision.at),
        changed_seconds_ago: clock.since(revision.at),
        refusal: None,
        notes: Vec::new(),
    });
    resource.collect()
}

fn delivered(kind: Kind, name: String, entry: &Entry, clock: &Clock) -> Resource {
    let refusal = entry.refusal().map(|refusal| Refusal {
        version: refusal.version.clone(),
        source: refusal.source.to_string(),
        at: rfc3339(clock.wall(refusal.when)),
        seconds_ago: clock.ago(refusal.when),
        faults: refusal.faults.0.iter().map(ToString::to_string).collect(),
    });
    let since: Instant = entry.since();
    Resource {
        kind: kind.label(),
        name,
        version: entry.version().to_owned(),
        source: entry.source().to_owned(),
        state: entry.state().label(),
        changed_at: rfc3339(clock.wall(since)),
        changed_seconds_ago: clock.ago(since),
        refusal,
        notes: entry.notes().iter().map(note).collect(),
    }
}

fn note(Note { path, reason }: &Note) -> String {
    if path.is_empty() {
        reason.clone()
    } else {
        format!("{path}: {reason}")
    }
}

/// For people: a line for each, and the refused ones with everything that is wrong with them.
pub(super) fn text(resources: &[Resource]) -> String {
    let mut page = String::new();
    if resources.is_empty() {
        return page;
    }
    let cell = |text: &str| or_dash(Some(printed(text)).filter(|text| !text.is_empty()));
    let rows: Vec<_> = resources
        .iter()
        .map(|one| {
            [
                one.kind.to_owned(),
                cell(&one.name),
                one.state.to_owned(),
                cell(&one.version),
                one.changed_at.clone(),
                cell(&one.source),
            ]
        })
        .collect();
    page.push_str("\nresources\n");
    table::write(
        &mut page,
        ["TYPE", "NAME", "STATE", "VERSION", "CHANGED", "SOURCE"],
        &rows,
    );
    for one in resources {
        let Some(refusal) = &one.refusal else { continue };
        let (kind, name) = (one.kind, printed(&one.name));
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "\nrefused: {kind} {name}, version {}, from {} at {}",
            cell(&refusal.version),
            cell(&refusal.source),
            refusal.at
        );
        for fault in &refusal.faults {
            let _ = writeln!(page, "  {}", printed(fault));
        }
    }
    page
}

/// What a server said may hold line ends and worse.
fn printed(text: &str) -> String {
    text.escape_debug()
        .to_string()
        .replace("\\'", "'")
        .replace("\\\"", "\"")
}
