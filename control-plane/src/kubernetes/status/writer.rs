//! Writes what the board says: of routes and policies into their status, of other objects as Events. Only the leader does;
//! nothing is written that is there already.

use super::{Condition, Shape, merged};
use crate::kubernetes::events::Told;
use crate::kubernetes::kind::Kind;
use crate::kubernetes::lease::Election;
use crate::kubernetes::verdict::{Board, Subject, Verdict};
use crate::outage::Outage;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Between two objects: a thousand routes are told in less than a minute, and the API server hardly notices.
const PACE: Duration = Duration::from_millis(50);
/// Until everything is looked at again.
const AGAIN: Duration = Duration::from_mins(10);
/// After a failure.
const RETRY: Duration = Duration::from_secs(5);
/// For one request.
const ANSWER: Duration = Duration::from_secs(10);
/// Attempts at one object that others write, too.
const ATTEMPTS: usize = 4;

/// How a write went.
#[derive(Debug)]
enum Went {
    /// It is there, or nobody can be told.
    Done,
    /// It is to be tried again; why.
    Failed(String),
}

/// Writes what the board says, whenever we lead. `instance` is the name of our pod. Never ends.
pub async fn write(client: Client, mut election: Election, board: Arc<Board>, instance: String) {
    let mut revision = board.revision();
    let (mut due, mut told, mut away) = (BTreeSet::new(), Told::default(), Outage::default());
    loop {
        election.led().await;
        revision.mark_unchanged();
        due.extend(board.take_changed());
        // One that fails must not keep the others waiting.
        for subject in std::mem::take(&mut due) {
            // Whoever leads no longer writes no more.
            if !election.leads() {
                due.insert(subject);
                continue;
            }
            match all(&client, &board, &subject, &instance, &mut told).await {
                Went::Done => sleep(PACE).await,
                Went::Failed(error) => {
                    let Subject { kind, key } = &subject;
                    if away.begins() {
                        tracing::warn!(%kind, %key, error, "status and Events cannot be written; tried again until they can");
                    }
                    due.insert(subject);
                }
            }
        }
        if due.is_empty() && away.ends().is_some() {
            tracing::info!("status and Events can be written again");
        }
        let pause = if due.is_empty() { AGAIN } else { RETRY };
        if timeout(pause, revision.changed()).await.is_err() && due.is_empty() {
            // Somebody may have taken away what we had written.
            due = board.subjects();
        }
    }
}

async fn all(client: &Client, board: &Board, subject: &Subject, instance: &str, told: &mut Told) -> Went {
    let events = events(client, board, subject, instance, told).await;
    match shape(subject.kind) {
        Some(shape) => match status(client, board, subject, shape).await {
            Went::Done => events,
            failed @ Went::Failed(_) => failed,
        },
        None => events,
    }
}

async fn events(client: &Client, board: &Board, subject: &Subject, instance: &str, told: &mut Told) -> Went {
    let verdicts: Vec<Verdict> = board.of(subject).into_values().flatten().collect();
    told.keep(subject, &verdicts);
    for (news, event) in told.news(subject, &verdicts, instance, Timestamp::now()) {
        let namespace = event.metadata.namespace.as_deref().unwrap_or_default();
        let api: Api<Event> = Api::namespaced(client.clone(), namespace);
        let created = timeout(ANSWER, api.create(&PostParams::default(), &event)).await;
        match created.map(|created| created.map(drop)) {
            // It was told by another replica, or by us in an earlier life.
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => {}
            other => {
                if let failed @ Went::Failed(_) = went(subject, "an Event", other) {
                    return failed;
                }
            }
        }
        told.tell(subject, news);
    }
    Went::Done
}

/// Where the status of ours stands, in the kinds that have one.
fn shape(kind: Kind) -> Option<Shape> {
    match kind {
        Kind::HttpRoute | Kind::GrpcRoute | Kind::TlsRoute | Kind::TcpRoute => Some(Shape::Parents),
        Kind::TrafficPolicy => Some(Shape::Ancestors),
        Kind::Service | Kind::EndpointSlice | Kind::Pod | Kind::Node | Kind::Namespace | Kind::ReferenceGrant => None,
    }
}

async fn status(client: &Client, board: &Board, subject: &Subject, shape: Shape) -> Went {
    let mut resources = subject.kind.api_resources();
    let in_version =
        |resource| Api::<DynamicObject>::namespaced_with(client.clone(), &subject.key.namespace, &resource);
    let Some(mut api) = resources.next().map(in_version) else {
        return Went::Done;
    };
    for _ in 0..ATTEMPTS {
        let object = loop {
            match timeout(ANSWER, api.get_status(&subject.key.name)).await {
                Ok(Ok(object)) => break object,
                // The cluster may have an older version of the kind only.
                Ok(Err(kube::Error::Api(status))) if status.code == 404 => match resources.next() {
                    Some(older) => api = in_version(older),
                    // It is gone.
                    None => return Went::Done,
                },
                other => return went(subject, "a status", other.map(|read| read.map(drop))),
            }
        };
        let (said, generation) = said(board, subject);
        let current = object.metadata.generation.unwrap_or_default();
        if !said.is_empty() && generation != Some(current) {
            // The watch will bring it, and the board will say of that what is to be said.
            return Went::Done;
        }
        let Some(list) = merged(&entries(&object.data, shape), shape, &said, current, Timestamp::now()) else {
            return Went::Done;
        };
        let patch = Patch::Merge(json!({
            "metadata": {"resourceVersion": object.metadata.resource_version},
            "status": {shape.list(): list},
        }));
        let params = PatchParams::default();
        match timeout(ANSWER, api.patch_status(&subject.key.name, &params, &patch)).await {
            // Somebody else has written it meanwhile.
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => {}
            other => return went(subject, "a status", other.map(|written| written.map(drop))),
        }
    }
    Went::Failed("others write it all the time".to_owned())
}

/// What is to be said of an object about each parent or target, and of which generation of it.
fn said(board: &Board, subject: &Subject) -> (Vec<(Value, Vec<Condition>)>, Option<i64>) {
    let mut said: Vec<(Value, Vec<Condition>)> = Vec::new();
    let mut generation = None;
    for verdict in board.of(subject).into_values().flatten() {
        let Verdict {
            about,
            condition,
            holds,
            reason,
            message,
            ..
        } = verdict;
        let Ok(about) = serde_json::from_str::<Value>(&about) else {
            continue;
        };
        generation = verdict.generation;
        let condition = Condition::new(condition, holds, reason, message);
        match said.iter_mut().find(|(known, _)| *known == about) {
            Some((_, conditions)) => conditions.push(condition),
            None => said.push((about, vec![condition])),
        }
    }
    (said, generation)
}

/// The entries that an object has.
fn entries(object: &Value, shape: Shape) -> Vec<Value> {
    let list = object.get("status").and_then(|status| status.get(shape.list()));
    list.and_then(Value::as_array).cloned().unwrap_or_default()
}

fn went(subject: &Subject, what: &str, why: Result<kube::Result<()>, tokio::time::error::Elapsed>) -> Went {
    let Subject { kind, key } = subject;
    match why {
        Ok(Ok(())) => Went::Done,
        // It is gone.
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Went::Done,
        // It would be refused again as long as nothing of it changes.
        Ok(Err(kube::Error::Api(status))) if [400, 422].contains(&status.code) => {
            tracing::warn!(%kind, %key, error = %status, "{what} was refused");
            Went::Done
        }
        Ok(Err(error)) => Went::Failed(error.to_string()),
        Err(_) => Went::Failed("no answer in time".to_owned()),
    }
}
