//! Rules, as `/config_dump` shows them.

use crate::route::Action;
use crate::route::Answer;
use crate::route::AnswerKind;
use crate::route::Changes;
use crate::route::Forward;
use crate::route::Rule;
use crate::route::Table;
use crate::route::Target;
use crate::snapshot::Snapshot;
use evenkeel_control_api::resource::route::Domain;
use serde_json::Value;
use serde_json::json;
use std::time::Duration;

/// Every rule in the order in which they are tried.
pub(super) fn json(table: &Table, snapshot: &Snapshot) -> Vec<Value> {
    table
        .rules()
        .map(|(domains, one)| rule(domains, one, snapshot))
        .collect()
}

fn rule(domains: &[Domain], rule: &Rule, snapshot: &Snapshot) -> Value {
    let mut shown = json!({
        "name": *rule.name,
        "domains": domains.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "path": format!("{:?}", rule.matches.path),
        "conditions": conditions(rule),
    });
    match &rule.action {
        Action::Forward(one) => extend(&mut shown, forward(one, snapshot)),
        Action::Weighted(weighted) => {
            let weighted = weighted.choices().map(|(weight, one)| {
                let mut shown = forward(one, snapshot);
                extend(&mut shown, json!({ "weight": weight }));
                shown
            });
            extend(&mut shown, json!({ "weighted": weighted.collect::<Vec<_>>() }));
        }
        Action::Answer(one) => extend(&mut shown, answer(one)),
        Action::Nowhere => extend(&mut shown, json!({ "cluster": null })),
    }
    shown
}

/// Beside the path.
fn conditions(rule: &Rule) -> Vec<String> {
    let matches = &rule.matches;
    let mut conditions = Vec::new();
    conditions.extend(matches.ignore_case.then(|| "in any case".to_owned()));
    conditions.extend(matches.headers.iter().map(|header| format!("{header:?}")));
    conditions.extend(matches.query.iter().map(|parameter| format!("{parameter:?}")));
    conditions.extend(matches.grpc.then(|| "gRPC".to_owned()));
    let fraction = matches.fraction;
    conditions.extend(fraction.map(|fraction| format!("{} of {}", fraction.numerator, fraction.denominator)));
    conditions
}

fn forward(forward: &Forward, snapshot: &Snapshot) -> Value {
    let cluster = match &forward.cluster {
        Target::Place(place) => json!(snapshot.cluster(*place).map(|cluster| &*cluster.name)),
        Target::Named(field) => json!(format!("{field:?}")),
    };
    let timeouts = &forward.timeouts;
    json!({
        "cluster": cluster,
        "timeout_seconds": seconds(timeouts.answer),
        "stream_seconds": seconds(timeouts.stream),
        "idle_seconds": seconds(timeouts.idle),
        "changes": forward.changes.as_deref().map(changes),
    })
}

fn changes(changes: &Changes) -> Value {
    json!({
        "request": format!("{:?}", changes.request),
        "response": format!("{:?}", changes.response),
        "path": changes.path.as_ref().map(|path| format!("{path:?}")),
        "host": changes.host.as_ref().map(|host| format!("{host:?}")),
    })
}

fn answer(answer: &Answer) -> Value {
    match &answer.kind {
        AnswerKind::Redirect(redirect) => json!({ "redirect": format!("{redirect:?}") }),
        AnswerKind::Respond(response) => json!({ "respond": response.status.as_u16() }),
    }
}

fn extend(object: &mut Value, with: Value) {
    if let (Value::Object(object), Value::Object(with)) = (object, with) {
        object.extend(with);
    }
}

fn seconds(duration: Option<Duration>) -> Option<f64> {
    duration.map(|duration| duration.as_secs_f64())
}
