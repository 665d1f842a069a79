//! Events about objects that have no status of ours, such as a Service with an annotation that cannot be understood.
//!
//! The name of an Event is made of what it says, so that two replicas, or one that begins anew, say it once.

use super::kind::Kind;
use super::status::CONTROLLER;
use super::verdict::{Subject, Verdict};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// What the API server takes of a note.
const LONGEST_NOTE: usize = 1024;
/// What it takes of a name, less what we add to it.
const LONGEST_NAME: usize = 253 - 17;
/// Where Events about objects of the whole cluster are.
const CLUSTER: &str = "default";

/// What has been told of each object that has a fault.
#[derive(Debug, Default)]
pub struct Told(BTreeMap<Subject, BTreeSet<u64>>);

impl Told {
    /// The Events that are to be created. Those that were told already, or stand no more, are none.
    pub fn news(&self, subject: &Subject, verdicts: &[Verdict], instance: &str, now: Timestamp) -> Vec<(u64, Event)> {
        let told = self.0.get(subject);
        let faults = verdicts.iter().filter(|verdict| is_ours(verdict));
        let new = faults.map(|verdict| (hash(verdict), verdict));
        let new = new.filter(|(hash, _)| !told.is_some_and(|told| told.contains(hash)));
        new.map(|(hash, verdict)| (hash, event(subject, verdict, hash, instance, now)))
            .collect()
    }

    /// Takes note of one that was created.
    pub fn tell(&mut self, subject: &Subject, told: u64) {
        self.0.entry(subject.clone()).or_default().insert(told);
    }

    /// Forgets what stands no more: should it come back, it is told again.
    pub fn keep(&mut self, subject: &Subject, verdicts: &[Verdict]) {
        let Some(told) = self.0.get_mut(subject) else { return };
        let standing: BTreeSet<u64> = verdicts.iter().filter(|verdict| is_ours(verdict)).map(hash).collect();
        told.retain(|hash| standing.contains(hash));
        if told.is_empty() {
            self.0.remove(subject);
        }
    }
}

/// What is about one reference is said in a status.
fn is_ours(verdict: &Verdict) -> bool {
    !verdict.holds && verdict.about.is_empty()
}

fn hash(verdict: &Verdict) -> u64 {
    // Its keys are the same in every process.
    let mut hasher = DefaultHasher::new();
    (&verdict.uid, verdict.reason, &verdict.message).hash(&mut hasher);
    hasher.finish()
}

fn event(subject: &Subject, verdict: &Verdict, hash: u64, instance: &str, now: Timestamp) -> Event {
    let Subject { kind, key } = subject;
    let namespace = (!key.namespace.is_empty()).then(|| key.namespace.to_string());
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{}.{hash:016x}", cut(&key.name, LONGEST_NAME))),
            namespace: Some(namespace.clone().unwrap_or_else(|| CLUSTER.to_owned())),
            ..ObjectMeta::default()
        },
        type_: Some("Warning".to_owned()),
        reason: Some(verdict.reason.to_owned()),
        note: Some(cut(&verdict.message, LONGEST_NOTE).to_owned()),
        action: Some("Translate".to_owned()),
        event_time: Some(MicroTime(now)),
        reporting_controller: Some(CONTROLLER.to_owned()),
        reporting_instance: Some(instance.to_owned()),
        regarding: Some(ObjectReference {
            api_version: Some(api_version(*kind)),
            kind: Some(kind.name().to_owned()),
            name: Some(key.name.to_string()),
            namespace,
            uid: (!verdict.uid.is_empty()).then(|| verdict.uid.clone()),
            ..ObjectReference::default()
        }),
        ..Event::default()
    }
}

fn api_version(kind: Kind) -> String {
    let best = kind.api_resources().next();
    best.map(|resource| resource.api_version).unwrap_or_default()
}

fn cut(text: &str, longest: usize) -> &str {
    let end = (0..=longest.min(text.len())).rfind(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::key::Key;

    fn subject(name: &str) -> Subject {
        Subject {
            kind: Kind::Service,
            key: Key::new("shop", name),
        }
    }

    fn fault(message: &str) -> Verdict {
        Verdict {
            uid: "1-2-3".to_owned(),
            ..Verdict::fault(message)
        }
    }

    fn news(told: &Told, verdicts: &[Verdict]) -> Vec<(u64, Event)> {
        told.news(&subject("web"), verdicts, "pod-1", Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_fault_is_told_once_until_it_goes_and_comes_back() {
        let mut told = Told::default();
        let standing = [fault("a"), fault("b")];
        let first = news(&told, &standing);
        assert_eq!(first.len(), 2);
        told.tell(&subject("web"), first[0].0);
        assert_eq!(news(&told, &standing), first[1..]);
        told.keep(&subject("web"), &standing[1..]);
        assert_eq!(news(&told, &standing), first, "with the same names");
    }

    #[test]
    fn an_event_says_what_whom_and_who() {
        let (_, event) = news(&Told::default(), &[fault("metadata.annotations: no")]).remove(0);
        let regarding = event.regarding.unwrap();
        assert_eq!(regarding.api_version.as_deref(), Some("v1"));
        assert_eq!(
            (regarding.kind.as_deref(), regarding.name.as_deref()),
            (Some("Service"), Some("web"))
        );
        assert_eq!(regarding.uid.as_deref(), Some("1-2-3"));
        assert_eq!(event.metadata.namespace.as_deref(), Some("shop"));
        assert_eq!(event.note.as_deref(), Some("metadata.annotations: no"));
        assert_eq!(event.reporting_instance.as_deref(), Some("pod-1"));
    }

    #[test]
    fn a_status_has_its_own_place_and_what_holds_is_no_fault() {
        let about = Verdict {
            about: "{}".to_owned(),
            ..fault("a")
        };
        let holds = Verdict {
            holds: true,
            ..fault("a")
        };
        assert_eq!(news(&Told::default(), &[about, holds]), []);
    }

    #[test]
    fn what_is_too_long_is_cut() {
        let verdicts = [fault(&"é".repeat(2000))];
        let long = "n".repeat(253);
        let (_, event) = Told::default()
            .news(&subject(&long), &verdicts, "pod-1", Timestamp::UNIX_EPOCH)
            .remove(0);
        assert_eq!(event.note.unwrap().len(), 1024);
        assert_eq!(event.metadata.name.unwrap().len(), 253);
    }
}
