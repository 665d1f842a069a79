//! Traffic policies at the ports of a Service. Of two for one target the oldest is in force; one for a port goes before
//! one for the whole Service. A policy that asks for what the data plane cannot do is not used at all.

use super::{Ground, Refusal};
use crate::kubernetes::key::Key;
use crate::kubernetes::kind::Kind;
use crate::kubernetes::objects::{Policy, PolicyTarget, Reach, Settings};
use crate::kubernetes::verdict::{Place, Subject, Verdict};
use evenkeel_control_api::mesh::model;
use std::collections::BTreeMap;
use std::num::NonZeroU16;

/// What holds, and at which ports.
type Accepted = (Settings, Vec<NonZeroU16>);

/// Puts all policies for a Service where they are to be.
pub(super) fn attach(
    ground: &Ground<'_>,
    mut policies: Vec<(&Key, &Policy)>,
    service: Option<&mut model::Service>,
) -> Vec<(Place, Vec<Verdict>)> {
    policies.sort_by_key(|(key, policy)| (policy.created.is_none(), policy.created, *key));
    // By port, `None`: of the whole Service.
    let mut taken: BTreeMap<Option<&str>, &Key> = BTreeMap::new();
    let mut settings: BTreeMap<NonZeroU16, (Settings, bool)> = BTreeMap::new();
    let mut found = Vec::with_capacity(policies.len());
    for (key, policy) in policies {
        let subject = Subject {
            kind: Kind::TrafficPolicy,
            key: key.clone(),
        };
        let mut verdicts = Vec::new();
        for target in policy.targets.iter().filter(|target| target.service == *ground.key) {
            let section = target.section.as_deref();
            let accepted = accept(ground, policy, target).and_then(|accepted| match taken.get(&section) {
                Some(older) => Err(("Conflicted", format!("the older policy {older} is for the same target"))),
                None => Ok(accepted),
            });
            let said = accepted.map(|(chosen, ports)| {
                taken.insert(section, key);
                for port in ports {
                    let held = settings.entry(port).or_insert((chosen, section.is_some()));
                    if section.is_some() && !held.1 {
                        *held = (chosen, true);
                    }
                }
                "in force".to_owned()
            });
            verdicts.push(ground.verdict(&subject, &target.written(), "Accepted", said));
        }
        found.push((ground.place(subject), verdicts));
    }
    for port in service.into_iter().flat_map(|service| &mut service.ports) {
        if let Some((chosen, _)) = settings.get(&port.port) {
            port.algorithm = chosen.algorithm;
            port.limits = chosen.limits;
        }
    }
    found
}

fn accept(ground: &Ground<'_>, policy: &Policy, target: &PolicyTarget) -> Result<Accepted, Refusal> {
    let settings = match &policy.settings {
        Ok(settings) => *settings,
        Err(faults) => return Err(("UnsupportedValue", faults.join("; "))),
    };
    let missing = |message: String| ("TargetNotFound", message);
    let service = ground.service();
    let known = service.ok_or_else(|| missing(format!("there is no Service {}", ground.key)))?;
    match known.reach {
        Reach::Vips(_) | Reach::Headless => {}
        Reach::External(_) => {
            let message = format!("the Service {} is an ExternalName", ground.key);
            return Err(("UnsupportedValue", message));
        }
        Reach::Nobody => {
            return Err(missing(format!(
                "the Service {} has no address in the mesh",
                ground.key
            )));
        }
    }
    let named = |name: &str| target.section.as_deref().is_none_or(|section| section == name);
    let ports = known.ports.iter().filter(|port| named(&port.name));
    let ports: Vec<_> = ports.map(|port| port.number).collect();
    if ports.is_empty() {
        return Err(missing(format!("the Service {} has no such TCP port", ground.key)));
    }
    Ok((settings, ports))
}
