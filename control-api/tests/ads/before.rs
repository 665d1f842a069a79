//! A control plane of the version before, word for word: its side of what was recorded, said to the data plane of today.

use crate::client;
use crate::recorded::Said;
use crate::recorded::TAKEN;
use crate::recorded::read;
use crate::server::DeltaTalk;
use crate::server::Server;
use crate::until;
use evenkeel_control_api::ads::Options;
use evenkeel_control_api::ads::State;
use evenkeel_control_api::resource::Kind;
use std::collections::BTreeSet;

/// What a client has asked for, and answered.
#[derive(Default)]
struct Heard {
    types: BTreeSet<String>,
    answered: BTreeSet<String>,
}

impl Heard {
    async fn next(&mut self, talk: &mut DeltaTalk) {
        let request = talk.hear_any().await;
        assert_eq!(request.error_detail, None);
        self.types.insert(request.type_url);
        self.answered.insert(request.response_nonce);
    }
}

#[tokio::test]
async fn what_a_control_plane_of_version_1_says_is_taken_whole() {
    let mut server = Server::start().await;
    let client = client(&[&server.address], Options::default());
    let mut talk = server.delta().await;
    let mut heard = Heard::default();
    let (mut said, mut asked_then) = (Vec::new(), BTreeSet::new());
    let mut there = BTreeSet::new();
    for message in read(TAKEN) {
        match message {
            Said::ByProxy(request) => drop(asked_then.insert(request.type_url)),
            Said::ByControlPlane(response) => {
                // Nothing is said that nobody asked for.
                while !heard.types.contains(&response.type_url) {
                    heard.next(&mut talk).await;
                }
                let kind = Kind::of_type_url(&response.type_url).unwrap();
                there.extend(response.resources.iter().map(|resource| (kind, resource.name.clone())));
                for name in &response.removed_resources {
                    there.remove(&(kind, name.clone()));
                }
                said.push(response.nonce.clone());
                talk.repeat(response).await;
            }
        }
    }
    while !said.iter().all(|nonce| heard.answered.contains(nonce)) {
        heard.next(&mut talk).await;
    }
    assert_eq!(heard.types, asked_then);
    until("everything is in use", || {
        let mut found = BTreeSet::new();
        for kind in Kind::ALL {
            client.status().each(kind, |name, entry| {
                if entry.state() == State::Acked {
                    found.insert((kind, name.to_owned()));
                }
            });
        }
        found == there
    })
    .await;
}
