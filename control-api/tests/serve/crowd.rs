//! A thousand streams.

use crate::support::{Delta, World, document};
use evenkeel_control_api::mesh;
use evenkeel_control_api::resource::Kind;
use std::fs;

const STREAMS: usize = 1_000;
const CONNECTIONS: usize = 10;

async fn crowd(world: &World) -> Vec<Delta> {
    let mut crowd = Vec::new();
    for _ in 0..CONNECTIONS {
        let channel = world.connect().await;
        for _ in 0..STREAMS / CONNECTIONS {
            crowd.push(Delta::open(channel.clone()).await);
        }
    }
    crowd
}

/// Of this process, in MiB.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<usize>().unwrap() >> 10
}

#[tokio::test]
async fn a_change_is_one_response_for_each_stream() {
    let world = World::begin(&document(10, "10.9.0.1:80")).await;
    let mut crowd = crowd(&world).await;
    for client in &mut crowd {
        client.subscribe(Kind::Cluster, &[]);
    }
    for client in &mut crowd {
        assert_eq!(client.next().await.resources.len(), 12);
    }
    world
        .until(|status| status.kinds[Kind::Cluster as usize].accepted == STREAMS as u64)
        .await;
    world.change(&document(11, "10.9.0.1:80"));
    for client in &mut crowd {
        assert_eq!(client.next().await.resources.len(), 1);
    }
    let all = 2 * STREAMS as u64;
    let status = world
        .until(|status| status.kinds[Kind::Cluster as usize].accepted == all)
        .await;
    assert_eq!(
        (status.streams, status.kinds[Kind::Cluster as usize].pushes),
        (STREAMS, all)
    );
    assert_eq!(status.kinds[Kind::Listener as usize].pushes, 0);
    drop(crowd);
    world.until(|status| status.streams == 0).await;
}

/// Each is being sent all listeners and takes nothing: more than 600 MiB, were they not shared.
#[tokio::test]
async fn a_thousand_clients_that_do_not_read_share_what_they_are_sent() {
    let text = document(1_000, "10.9.0.1:80");
    let listeners = mesh::translate(&mesh::parse(&text).unwrap()).listeners;
    let size: usize = listeners.iter().map(|packed| packed.value.len()).sum();
    assert!(STREAMS * size > 600 << 20, "{size} bytes for each");
    let world = World::begin(&text).await;
    let mut crowd = crowd(&world).await;
    for client in &mut crowd {
        client.subscribe(Kind::Listener, &[]);
    }
    world
        .until(|status| status.kinds[Kind::Listener as usize].pushes == STREAMS as u64)
        .await;
    for services in 1_001..1_011 {
        world.change(&document(services, "10.9.0.1:80"));
    }
    // Of server and clients, and of whatever other tests are doing.
    let resident = resident();
    assert!(resident < 200, "{resident} MiB");
    assert_eq!(
        world.server.status().kinds[Kind::Listener as usize].pushes,
        STREAMS as u64
    );
}
