//! What one replica does for all: whoever holds the Lease writes status and Events, and renews the certificate.

use crate::kubernetes::lease::{self, Election};
use crate::kubernetes::status;
use crate::kubernetes::verdict::Board;
use kube::{Api, Client};
use std::sync::Arc;
use tokio::sync::watch;

/// The pod that we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnPod {
    /// Names us in the Lease and in Events.
    pub name: String,
    /// Where the Lease is.
    pub namespace: String,
}

/// Takes part in the election until `end`, writes what the board says while we lead, and tells `leads` whether we do.
pub(super) async fn lead(
    client: Client,
    pod: OwnPod,
    board: Arc<Board>,
    leads: watch::Sender<bool>,
    end: impl Future<Output = ()> + Send,
) {
    let leases = Api::namespaced(client.clone(), &pod.namespace);
    let (election, campaign) = lease::elect(leases, pod.name.clone(), end);
    tokio::select! {
        () = campaign => {}
        () = tell(election.clone(), leads) => {}
        () = status::write(client, election, board, pod.name) => {}
    }
}

async fn tell(mut election: Election, leads: watch::Sender<bool>) {
    loop {
        election.led().await;
        leads.send_replace(true);
        election.lost().await;
        leads.send_replace(false);
    }
}
