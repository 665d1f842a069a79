//! What it says is done, for everything that is spoken.

use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::counts::Counts;
use evenkeel_tests::grpc::Kind;
use evenkeel_tests::replica;
use evenkeel_tests::xds::Entry;

use crate::world::BANNER;
use crate::world::HTTP;
use crate::world::Protocol;
use crate::world::World;

/// Of each protocol; three replicas get a third each.
const REQUESTS: u32 = 90;

/// One number of what a replica has served.
type Count = fn(Counts) -> u64;

#[test]
fn everything_is_balanced_as_another_control_plane_says() -> Result<()> {
    for family in Family::BOTH {
        for protocol in Protocol::BOTH {
            let (world, server, _mesh) = World::meshed(family, protocol)?;
            let log = server.log()?;
            let opened = Entry::Opened {
                stream: 1,
                mode: protocol.mode().to_owned(),
            };
            ensure!(log.contains(&opened), "{log:?}");
            is_balanced(&world)?;
        }
    }
    Ok(())
}

fn is_balanced(world: &World) -> Result<()> {
    let before = replica::readings(&world.replicas)?;
    let (client, web) = (&world.client, world.vip(HTTP));
    let ab = clients::ab(client, web, REQUESTS)?;
    let h2load = clients::h2load(client, web, REQUESTS)?;
    ensure!(ab.failed == 0 && h2load.failed == 0, "{ab:?} {h2load:?}");
    for kind in Kind::ALL {
        let calls = clients::grpc(client, web, REQUESTS, kind)?;
        ensure!(calls.failures == 0, "{kind:?}: {calls:?}");
    }
    let banners = clients::banner(client, world.vip(BANNER), REQUESTS)?;
    ensure!(banners.failures == 0, "{banners:?}");
    let counts: [(&str, Count); 4] = [
        ("http1", |counts| counts.http1),
        ("http2", |counts| counts.http2),
        ("grpc", |counts| counts.grpc / Kind::ALL.len() as u64),
        ("banner", |counts| counts.banner),
    ];
    for (spoken, count) in counts {
        let served = replica::served(&world.replicas, &before, count)?;
        let third = u64::from(REQUESTS) / 3;
        // In turn; the first turn is drawn by chance, and the quarter of four kinds of call is rounded.
        ensure!(
            served.iter().all(|&served| served.abs_diff(third) <= 1),
            "{spoken}: {served:?}"
        );
    }
    Ok(())
}
