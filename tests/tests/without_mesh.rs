//! The problem itself, and that the harness shows it: a cluster without a mesh balances connections, not requests.

use anyhow::Result;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::grpc::Kind;
use evenkeel_tests::replica::readings;
use evenkeel_tests::replica::served;
use evenkeel_tests::service::Port;
use evenkeel_tests::service::Service;

#[test]
fn a_kept_connection_gives_one_replica_everything() -> Result<()> {
    let cluster = Cluster::new()?;
    let replicas = cluster.replicas(3)?;
    let client = cluster.pod("client")?;
    for family in Family::BOTH {
        let web = Service::new("web", family.vip(10)).with(Port::http(80, &replicas, family));
        cluster.expose(&web)?;
        let before = readings(&replicas)?;

        assert_eq!(clients::ab(&client, web.at(80), 60)?.succeeded, 60);
        assert_eq!(clients::h2load(&client, web.at(80), 60)?.succeeded, 60);
        assert_eq!(clients::grpc(&client, web.at(80), 60, Kind::Unary)?.failures, 0);

        for (protocol, mut counts) in [
            ("HTTP/1", served(&replicas, &before, |counts| counts.http1)?),
            ("HTTP/2", served(&replicas, &before, |counts| counts.http2)?),
            ("gRPC", served(&replicas, &before, |counts| counts.grpc)?),
        ] {
            counts.sort_unstable();
            assert_eq!(counts, [0, 0, 60], "{protocol} over {family:?}");
        }
    }
    Ok(())
}

#[test]
fn connections_are_spread_over_the_replicas() -> Result<()> {
    let cluster = Cluster::new()?;
    let replicas = cluster.replicas(3)?;
    let client = cluster.pod("client")?;
    for family in Family::BOTH {
        let service = Service::new("web", family.vip(10))
            .with(Port::http(80, &replicas, family))
            .with(Port::banner(9000, &replicas, family));
        cluster.expose(&service)?;

        // By chance: that one of three gets none of 60 connections happens once in ten thousand million runs.
        let websocket = clients::websocket(&client, service.at(80), 60)?;
        assert_eq!(
            (websocket.failures, websocket.by_replica.len()),
            (0, 3),
            "{websocket:?}"
        );
        let banner = clients::banner(&client, service.at(9000), 60)?;
        assert_eq!((banner.failures, banner.by_replica.len()), (0, 3), "{banner:?}");
        assert!(banner.first_byte_ms.is_some());
    }
    Ok(())
}

#[test]
fn a_pod_reaches_itself_through_a_vip() -> Result<()> {
    let cluster = Cluster::new()?;
    let replicas = cluster.replicas(1)?;
    for family in Family::BOTH {
        let web = Service::new("web", family.vip(10)).with(Port::http(80, &replicas, family));
        cluster.expose(&web)?;
        assert_eq!(
            clients::curl(replicas[0].pod(), &[&format!("http://{}/", web.at(80))])?,
            "r1\n"
        );
    }
    Ok(())
}

#[test]
fn grpc_calls_of_all_four_kinds_are_answered() -> Result<()> {
    let cluster = Cluster::new()?;
    let replica = cluster.replica("r1", 0)?;
    let client = cluster.pod("client")?;
    for kind in Kind::ALL {
        let answers = clients::grpc(&client, replica.http(Family::V4), 3, kind)?;
        assert_eq!(
            (answers.failures, answers.by_replica["r1"]),
            (0, 3),
            "{kind:?}: {answers:?}"
        );
    }
    Ok(())
}
