//! Traffic to a pod in the mesh, and the traffic that a pod has with itself.

use std::time::Duration;

use anyhow::Result;
use evenkeel_tests::clients;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::document::Document;
use evenkeel_tests::grpc::Kind;
use evenkeel_tests::replica::Replica;
use evenkeel_tests::replica::readings;
use evenkeel_tests::replica::served;
use evenkeel_tests::script::End;
use evenkeel_tests::script::Script;
use evenkeel_tests::script::Step;
use evenkeel_tests::script::ask;
use evenkeel_tests::script::read_to_end;
use evenkeel_tests::service::Port;
use evenkeel_tests::service::Service;

const DEADLINE: Duration = Duration::from_secs(40);

/// The service in front of these replicas: port 80 speaks HTTP of all kinds, port 9000 is server-first.
fn service(family: Family, replicas: &[Replica]) -> Service {
    let service = Service::new("web", family.vip(10));
    service
        .with(Port::http(80, replicas, family))
        .with(Port::banner(9000, replicas, family))
}

#[test]
fn inbound_traffic_reaches_the_application_at_the_address_that_was_dialled() -> Result<()> {
    for family in Family::BOTH {
        let cluster = Cluster::new()?;
        let replicas = cluster.replicas(1)?;
        let client = cluster.pod("client")?;
        let mesh = replicas[0].pod().mesh(&Document::of(&[]))?;
        let before = readings(&replicas)?;

        assert_eq!(clients::ab(&client, replicas[0].http(family), 10)?.succeeded, 10);
        assert_eq!(clients::h2load(&client, replicas[0].http(family), 10)?.succeeded, 10);
        assert_eq!(
            clients::grpc(&client, replicas[0].http(family), 10, Kind::Bidirectional)?.failures,
            0
        );
        assert_eq!(clients::websocket(&client, replicas[0].http(family), 10)?.failures, 0);
        assert_eq!(clients::banner(&client, replicas[0].banner(family), 10)?.failures, 0);

        let counts = replicas[0].counts()? - before[0];
        assert_eq!(
            [counts.http1, counts.http2, counts.grpc, counts.websocket, counts.banner],
            [10; 5]
        );
        let metrics = mesh.metrics()?;
        assert!(
            metrics.value(
                "evenkeel_requests_total",
                &[("direction", "inbound"), ("protocol", "http1")]
            ) >= 10.0
        );
    }
    Ok(())
}

#[test]
fn an_application_that_is_down_is_down_for_its_clients_too() -> Result<()> {
    for family in Family::BOTH {
        let cluster = Cluster::new()?;
        let (server, client) = (cluster.pod("server")?, cluster.pod("client")?);
        let _mesh = server.mesh(&Document::of(&[]))?;
        let mut stream = client.connect(server.at(family, 8080))?;
        std::io::Write::write_all(&mut stream, b"question\n")?;
        let story = read_to_end(&mut stream)?;
        assert_eq!((story.received.as_slice(), story.end), (b"".as_slice(), End::Reset));
    }
    Ok(())
}

/// What a pod that reaches itself ten times in each protocol is booked as, in each direction.
const ONCE: [(&str, &[(&str, &str)]); 4] = [
    ("evenkeel_requests_total", &[("protocol", "http1")]),
    ("evenkeel_requests_total", &[("protocol", "http2")]),
    ("evenkeel_requests_total", &[("protocol", "grpc")]),
    ("evenkeel_tcp_connections_closed_total", &[]),
];

#[test]
fn a_pod_reaches_itself_through_its_own_service_exactly_once() -> Result<()> {
    for family in Family::BOTH {
        let cluster = Cluster::new()?;
        let replicas = cluster.replicas(1)?;
        let web = service(family, &replicas);
        cluster.expose(&web)?;
        let mesh = replicas[0].pod().mesh(&Document::of(&[&web]))?;
        let before = readings(&replicas)?;

        let pod = replicas[0].pod();
        assert_eq!(clients::ab(pod, web.at(80), 10)?.succeeded, 10);
        assert_eq!(clients::h2load(pod, web.at(80), 10)?.succeeded, 10);
        assert_eq!(clients::grpc(pod, web.at(80), 10, Kind::Unary)?.failures, 0);
        assert_eq!(clients::banner(pod, web.at(9000), 10)?.failures, 0);

        let counts = replicas[0].counts()? - before[0];
        assert_eq!([counts.http1, counts.http2, counts.grpc, counts.banner], [10; 4]);
        // Booked is what has ended: once nothing is under way, all of it is.
        let page = mesh.wait_for_metrics(DEADLINE, |page| {
            let counts = ONCE.map(|(name, labels)| page.value(name, labels));
            let under_way = ["evenkeel_requests_in_flight", "evenkeel_tcp_connections_open"];
            counts.iter().all(|count| *count > 19.5) && under_way.iter().all(|name| page.value(name, &[]) < 0.5)
        })?;
        for (name, labels) in ONCE {
            for direction in ["outbound", "inbound"] {
                let labels = [labels, &[("direction", direction)]].concat();
                let count = page.value(name, &labels);
                assert!((count - 10.0).abs() < 0.5, "{name} {labels:?}: {count} instead of 10");
            }
        }
    }
    Ok(())
}

#[test]
fn loopback_is_left_alone() -> Result<()> {
    for family in Family::BOTH {
        let cluster = Cluster::new()?;
        let pod = cluster.pod("alone")?;
        let mesh = pod.mesh(&Document::of(&[]))?;
        let at = (family.loopback(), 7000).into();
        let _server = Script::start(&pod, at, vec![vec![Step::Send(b"hello".to_vec())]])?;
        assert_eq!(read_to_end(&mut pod.connect(at)?)?.received, b"hello");
        assert!(mesh.metrics()?.value("evenkeel_connections_opened_total", &[]).abs() < 0.5);
    }
    Ok(())
}

#[test]
fn dialling_the_proxys_own_ports_does_not_loop() -> Result<()> {
    for family in Family::BOTH {
        let cluster = Cluster::new()?;
        let replicas = cluster.replicas(1)?;
        let (pod, other) = (replicas[0].pod(), cluster.pod("other")?);
        let mesh = pod.mesh(&Document::of(&[]))?;
        for (from, to) in [
            (pod, (family.loopback(), 15001).into()),
            (pod, pod.at(family, 15006)),
            (&other, pod.at(family, 15006)),
        ] {
            assert_eq!(ask(from, to, b"")?.received, b"");
        }
        assert!(
            mesh.metrics()?.value("evenkeel_connections_opened_total", &[]) < 3.5,
            "three dials, three accepts"
        );
        let before = readings(&replicas)?;
        assert_eq!(clients::ab(&other, replicas[0].http(family), 5)?.succeeded, 5);
        assert_eq!(served(&replicas, &before, |counts| counts.http1)?, [5]);
    }
    Ok(())
}
