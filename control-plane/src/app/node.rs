//! Which class a node of a cluster belongs to: what its pod is, and where it runs.

use crate::kubernetes::{Cluster, Key};
use crate::views::Class;
use evenkeel_control_api::mesh::model::Pod;
use evenkeel_control_api::serve::{Denied, Node, Peer};

/// The class of a node. With a peer it must be a pod that we know; one that we do not know yet is asked to come again, for
/// another class would be wrong for as long as the stream lives.
pub(super) fn class(cluster: &Cluster, node: &Node, peer: Option<&Peer>) -> Result<Class, Denied> {
    let key = match peer {
        Some(peer) => Key::new(&peer.namespace, &peer.pod),
        // A namespace has no dot in its name, a pod may.
        None => match node.id.rsplit_once('.') {
            Some((pod, namespace)) => Key::new(namespace, pod),
            None => Key::new("", &node.id),
        },
    };
    let world = cluster.world();
    let pod = world.pod(&key);
    if let Some(peer) = peer {
        let known = pod.is_some_and(|pod| *pod.uid == *peer.uid && pod.node.is_some());
        if !known {
            return Err(Denied::Unavailable(format!("the pod {key} is not known here yet")));
        }
    }
    let runs_on = pod.and_then(|pod| world.node(pod.node.as_deref()?));
    Ok(Class {
        reader: node.reader,
        zone: runs_on.and_then(|node| node.zone.clone()),
        pod: pod.and_then(|pod| pod.inbound.as_deref()).map(|inbound| Pod {
            inbound: inbound.clone(),
            ..Pod::default()
        }),
    })
}
