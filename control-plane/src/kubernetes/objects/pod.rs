//! Pod: where it runs, and what its annotations say of connections to it.

use super::Object;
use crate::inject::{annotations, workload};
use evenkeel_control_api::mesh::model::{Inbound, InboundPort};
use k8s_openapi::api::core::v1;
use std::sync::Arc;

/// What is kept of a Pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Pod {
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// The node that it was given to.
    pub node: Option<Arc<str>>,
    /// What makes it, such as a Deployment; else itself.
    pub workload: Option<Arc<str>>,
    /// What its annotations say of connections to it; most say nothing.
    pub inbound: Option<Box<Inbound>>,
}

/// Keeps what is used.
pub(crate) fn keep(pod: v1::Pod, faults: &mut Vec<String>) -> Object {
    let workload = workload(&pod).map(Arc::from);
    let annotations = pod.metadata.annotations.unwrap_or_default();
    let said = annotations::inbound(&annotations).unwrap_or_else(|refused| {
        faults.extend(refused.0.iter().map(ToString::to_string));
        annotations::Inbound::default()
    });
    Object::Pod(Pod {
        uid: pod.metadata.uid.unwrap_or_default().into(),
        workload,
        node: pod.spec.unwrap_or_default().node_name.map(Arc::from),
        inbound: (said != annotations::Inbound::default()).then(|| Box::new(inbound(said))),
    })
}

fn inbound(said: annotations::Inbound) -> Inbound {
    let port = |(port, protocol)| InboundPort {
        protocol,
        ..InboundPort::new(port)
    };
    let usual = Inbound::default();
    Inbound {
        ports: said.ports.into_iter().map(port).collect(),
        default: said.default.unwrap_or(usual.default),
        ..usual
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_control_api::mesh::model::Protocol;
    use serde_json::json;

    fn kept(annotations: &serde_json::Value) -> (Pod, Vec<String>) {
        let pod = json!({"metadata": {"name": "a", "annotations": annotations}, "spec": {"containers": []}});
        let mut faults = Vec::new();
        match keep(serde_json::from_value(pod).unwrap(), &mut faults) {
            Object::Pod(pod) => (pod, faults),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_pod_says_what_is_spoken_at_its_ports() {
        assert_eq!(kept(&json!({"other": "8080=tcp"})).0.inbound, None);
        let (pod, faults) = kept(&json!({"evenkeel.io/opaque-ports": "3306", "evenkeel.io/protocol": "*=http"}));
        let inbound = pod.inbound.unwrap();
        assert_eq!(
            (inbound.ports[0].port.get(), inbound.ports[0].protocol),
            (3306, Protocol::Tcp)
        );
        assert_eq!((inbound.default, faults), (Protocol::Http, vec![]));
    }

    #[test]
    fn what_it_says_wrongly_is_a_fault_of_the_pod_alone() {
        let (pod, faults) = kept(&json!({"evenkeel.io/protocol": "8080=htp"}));
        assert_eq!((pod.inbound, faults.len()), (None, 1));
    }
}
