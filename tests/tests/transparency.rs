//! What an opaque connection would be like without a mesh, it is like with it: every end and every byte is carried over.

use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::sync::mpsc::channel;

use anyhow::Result;
use evenkeel_tests::cluster::Cluster;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::document::Document;
use evenkeel_tests::mesh::Mesh;
use evenkeel_tests::pod::Pod;
use evenkeel_tests::script::End;
use evenkeel_tests::script::Script;
use evenkeel_tests::script::Step;
use evenkeel_tests::script::Story;
use evenkeel_tests::script::ask;
use evenkeel_tests::script::read_to_end;
use evenkeel_tests::script::reset;
use evenkeel_tests::service::Port;
use evenkeel_tests::service::Service;

/// Where the scripted server listens; the service's port is 5000.
const PORT: u16 = 7000;

/// A client in the mesh, and a pod for a scripted server behind a service.
struct World {
    family: Family,
    client: Pod,
    server: Pod,
    service: Service,
    mesh: Mesh,
    _cluster: Cluster,
}

// === impl World ===

impl World {
    /// `shape` may declare a protocol; without it, it is detected.
    fn new(family: Family, shape: impl Fn(Port) -> Port) -> Result<Self> {
        let cluster = Cluster::new()?;
        let (server, client) = (cluster.pod("server")?, cluster.pod("client")?);
        let service = Service::new("scripted", family.vip(20)).with(shape(Port::new(5000, [server.at(family, PORT)])));
        cluster.expose(&service)?;
        let mesh = client.mesh(&Document::of(&[&service]))?;
        Ok(Self {
            family,
            client,
            server,
            service,
            mesh,
            _cluster: cluster,
        })
    }

    fn serve(&self, steps: Vec<Step>) -> Result<Script> {
        Script::start(&self.server, self.server.at(self.family, PORT), vec![steps])
    }

    fn serve_unknown(&self, steps: Vec<Step>) -> Result<Script> {
        Script::start(&self.server, self.unknown(), vec![steps])
    }

    fn dial(&self) -> Result<TcpStream> {
        self.client.connect(self.service.at(5000))
    }

    /// An address that neither a service nor an endpoint has.
    fn unknown(&self) -> SocketAddr {
        self.server.at(self.family, PORT + 1)
    }
}

/// Each story: detected and declared, over both families.
fn everywhere(story: impl Fn(&World) -> Result<()>) -> Result<()> {
    for family in Family::BOTH {
        story(&World::new(family, |port| port)?)?;
        story(&World::new(family, |port| port.protocol("tcp"))?)?;
    }
    Ok(())
}

fn heard(received: &[u8], end: End) -> Story {
    Story {
        received: received.to_vec(),
        end,
    }
}

fn bytes(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

#[test]
fn an_answer_after_the_clients_fin_arrives() -> Result<()> {
    everywhere(|world| {
        let (say, said) = channel();
        let steps = vec![
            Step::ReceiveEnd,
            Step::WaitFor(said),
            Step::Send(bytes("a late answer")),
        ];
        let server = world.serve(steps)?;
        let mut client = world.dial()?;
        client.write_all(b"question\n")?;
        client.shutdown(Shutdown::Write)?;
        // The server has the FIN in hand, or it would not wait for our word: this send is received, or the test fails.
        say.send(())?;
        assert_eq!(read_to_end(&mut client)?, heard(b"a late answer", End::Closed));
        assert_eq!(server.story()?, heard(b"question\n", End::Closed));
        Ok(())
    })
}

#[test]
fn what_the_client_says_after_the_servers_fin_arrives() -> Result<()> {
    everywhere(|world| {
        let server = world.serve(vec![Step::Send(bytes("banner\n")), Step::HalfClose, Step::ReceiveEnd])?;
        let mut client = world.dial()?;
        assert_eq!(read_to_end(&mut client)?, heard(b"banner\n", End::Closed));
        client.write_all(b"said later")?;
        client.shutdown(Shutdown::Write)?;
        assert_eq!(server.story()?, heard(b"said later", End::Closed));
        Ok(())
    })
}

#[test]
fn a_reset_by_the_server_is_a_reset_for_the_client() -> Result<()> {
    everywhere(|world| {
        let _server = world.serve(vec![Step::Receive(bytes("question\n")), Step::Reset])?;
        let mut client = world.dial()?;
        client.write_all(b"question\n")?;
        assert_eq!(read_to_end(&mut client)?, heard(b"", End::Reset));
        Ok(())
    })
}

#[test]
fn a_reset_by_the_client_is_a_reset_for_the_server() -> Result<()> {
    everywhere(|world| {
        let server = world.serve(vec![
            Step::Receive(bytes("q\n")),
            Step::Send(bytes("a\n")),
            Step::ReceiveEnd,
        ])?;
        let mut client = world.dial()?;
        client.write_all(b"q\n")?;
        let mut answer = [0; 2];
        client.read_exact(&mut answer)?;
        reset(client)?;
        assert_eq!(server.story()?, heard(b"q\n", End::Reset));
        Ok(())
    })
}

#[test]
fn a_refused_upstream_is_a_reset_and_not_an_empty_success() -> Result<()> {
    everywhere(|world| {
        assert_eq!(
            ask(&world.client, world.service.at(5000), b"question\n")?,
            heard(b"", End::Reset)
        );
        Ok(())
    })
}

#[test]
fn a_server_that_speaks_first_is_heard_by_a_client_that_says_nothing() -> Result<()> {
    everywhere(|world| {
        let greeting = b"5.5.5-10.11.6-MariaDB\0\xff\n".to_vec();
        let server = world.serve(vec![Step::Send(greeting.clone()), Step::ReceiveEnd])?;
        let mut client = world.dial()?;
        let mut first = vec![0; greeting.len()];
        client.read_exact(&mut first)?;
        assert_eq!(first, greeting);
        drop(client);
        assert_eq!(server.story()?, heard(b"", End::Closed));
        Ok(())
    })
}

#[test]
fn an_unknown_destination_gets_every_byte_untouched() -> Result<()> {
    // The beginning of a TLS hello, and HTTP with a flaw that a strict codec would refuse.
    let strange = [
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00".as_slice(),
        b"GET /a/../b HTTP/1.1\nno host\n\n",
    ];
    for family in Family::BOTH {
        let world = World::new(family, |port| port)?;
        for said in strange {
            let server = world.serve_unknown(vec![Step::ReceiveEnd, Step::Send(bytes("bye"))])?;
            let mut client = world.client.connect(world.unknown())?;
            client.write_all(said)?;
            client.shutdown(Shutdown::Write)?;
            assert_eq!(read_to_end(&mut client)?, heard(b"bye", End::Closed));
            assert_eq!(server.story()?, heard(said, End::Closed));
        }
        let passed = world.mesh.metrics()?;
        let counted = passed.samples().iter().any(|sample| {
            sample
                .labels
                .get("service")
                .is_some_and(|service| service == "passthrough")
                && sample.value > 0.0
        });
        assert!(counted, "no series of service=passthrough");
    }
    Ok(())
}

#[test]
fn an_unknown_destination_that_speaks_first_is_heard() -> Result<()> {
    for family in Family::BOTH {
        let world = World::new(family, |port| port)?;
        let _server = world.serve_unknown(vec![Step::Send(bytes("220 mail\r\n")), Step::ReceiveEnd])?;
        let mut client = world.client.connect(world.unknown())?;
        let mut banner = [0; 10];
        client.read_exact(&mut banner)?;
        assert_eq!(&banner, b"220 mail\r\n");
    }
    Ok(())
}

#[test]
fn an_unknown_destination_is_refused_where_the_mesh_says_so() -> Result<()> {
    for family in Family::BOTH {
        let cluster = Cluster::new()?;
        let (client, server) = (cluster.pod("client")?, cluster.pod("server")?);
        let _mesh = client.mesh(&Document::of(&[]).with("unknown: refuse"))?;
        let script = Script::start(&server, server.at(family, PORT), vec![vec![Step::ReceiveEnd]])?;
        assert_eq!(ask(&client, server.at(family, PORT), b"")?, heard(b"", End::Reset));
        assert_eq!(script.accepted(), 0);
    }
    Ok(())
}
