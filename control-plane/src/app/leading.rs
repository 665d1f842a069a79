//! What one replica does for all: whoever holds the Lease writes status and Events.

use crate::kubernetes::lease;
use crate::kubernetes::status;
use crate::kubernetes::verdict::Board;
use kube::{Api, Client};
use std::sync::Arc;

/// The pod that we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnPod {
    /// Names us in the Lease and in Events.
    pub name: String,
    /// Where the Lease is.
    pub namespace: String,
}

/// Takes part in the election until `end`, and writes what the board says while we lead.
pub(super) async fn lead(client: Client, pod: OwnPod, board: Arc<Board>, end: impl Future<Output = ()> + Send) {
    let leases = Api::namespaced(client.clone(), &pod.namespace);
    let (election, campaign) = lease::elect(leases, pod.name.clone(), end);
    tokio::select! {
        () = campaign => {}
        () = status::write(client, election, board, pod.name) => {}
    }
}
