//! Where connections arrive: at the proxy's port with their destination kept, or where they were meant to go.

use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;

use anyhow::Context;
use anyhow::Result;
use evenkeel_tests::namespace::Namespace;
use evenkeel_tests::wait;
use nix::unistd::Gid;
use nix::unistd::Uid;
use nix::unistd::setfsgid;
use nix::unistd::setfsuid;
use socket2::Domain;
use socket2::SockRef;
use socket2::Socket;
use socket2::Type;

use crate::setting::BACKENDS;
use crate::setting::DEADLINE;
use crate::setting::FAMILIES;
use crate::setting::Family;
use crate::setting::Setting;
use crate::setting::at;
use crate::setting::init;
use crate::setting::listen;

/// As whom a connection is made. Rules see the file system ids of the thread that makes the socket.
#[derive(Clone, Copy, Debug, Default)]
struct Owner {
    uid: u32,
    gid: u32,
    mark: u32,
}

/// Where a connection arrived.
#[derive(Debug, PartialEq, Eq)]
enum Arrival {
    /// At the proxy's port, with this original destination.
    Proxy(SocketAddr),
    /// At the server that it was meant for.
    Server,
}

/// Connects from `from` to `server`, and tells which of the two listeners got the connection.
fn arrival(from: &Namespace, owner: Owner, server: &TcpListener, proxy: &TcpListener) -> Result<Arrival> {
    let destination = server.local_addr()?;
    let _client = from.enter(|| connect(owner, destination))??;
    server.set_nonblocking(true)?;
    proxy.set_nonblocking(true)?;
    let accepted = wait::until(DEADLINE, || match proxy.accept() {
        Ok((stream, _)) => Some(Some(stream)),
        Err(_) => server.accept().ok().map(|_| None),
    })?;
    Ok(match accepted {
        Some(stream) => Arrival::Proxy(original_destination(&stream)?),
        None => Arrival::Server,
    })
}

fn connect(owner: Owner, destination: SocketAddr) -> Result<Socket> {
    setfsgid(Gid::from_raw(owner.gid));
    setfsuid(Uid::from_raw(owner.uid));
    let socket = Socket::new(Domain::for_address(destination), Type::STREAM, None)?;
    setfsuid(Uid::from_raw(0));
    setfsgid(Gid::from_raw(0));
    socket.set_mark(owner.mark)?;
    socket.connect_timeout(&destination.into(), DEADLINE)?;
    Ok(socket)
}

fn original_destination(stream: &TcpStream) -> Result<SocketAddr> {
    let socket = SockRef::from(stream);
    let address = match stream.local_addr()? {
        SocketAddr::V4(_) => socket.original_dst_v4()?,
        SocketAddr::V6(_) => socket.original_dst_v6()?,
    };
    address
        .as_socket()
        .context("an original destination that is no internet address")
}

fn outbound(setting: &Setting, family: Family, owner: Owner, destination: SocketAddr) -> Result<Arrival> {
    let server = listen(&setting.peer, destination)?;
    let proxy = listen(&setting.pod, at(family.loopback, 15001))?;
    arrival(&setting.pod, owner, &server, &proxy)
}

fn inbound(setting: &Setting, destination: SocketAddr, proxy: SocketAddr) -> Result<Arrival> {
    let server = listen(&setting.pod, destination)?;
    let proxy = listen(&setting.pod, proxy)?;
    arrival(&setting.peer, Owner::default(), &server, &proxy)
}

#[test]
fn outbound_connections_reach_the_proxy_with_their_destination_kept() -> Result<()> {
    for backend in BACKENDS {
        let setting = Setting::new()?;
        init(&setting.pod, &["install", "--backend", backend])?;
        for family in FAMILIES {
            for destination in [at(family.peer, 80), at(family.peer_by_eth1, 65535)] {
                let arrived = outbound(&setting, family, Owner::default(), destination)?;
                assert_eq!(arrived, Arrival::Proxy(destination), "{backend}");
            }
        }
    }
    Ok(())
}

#[test]
fn what_is_exempt_or_excluded_reaches_its_server() -> Result<()> {
    let nobody = Owner {
        uid: 500,
        gid: 500,
        mark: 0,
    };
    for backend in BACKENDS {
        let setting = Setting::new()?;
        let options = [
            "install",
            "--backend",
            backend,
            "--exempt-uid=0",
            "--exempt-gid=600",
            "--exempt-mark=0x30/0xf0",
            "--include-outbound-ports=80-90,443,15000-15100",
            "--exclude-outbound-ports=85-86",
            "--exclude-outbound-cidrs=10.78.0.0/16,fd78::/64",
        ];
        init(&setting.pod, &options)?;
        for family in FAMILIES {
            let taken = |port| (nobody, at(family.peer, port), true);
            for (owner, destination, redirected) in [
                taken(80),
                taken(443),
                taken(84),
                taken(15100),
                (nobody, at(family.peer, 79), false),
                (nobody, at(family.peer, 85), false),
                (nobody, at(family.peer, 86), false),
                (nobody, at(family.peer, 15020), false),
                (nobody, at(family.peer_by_eth1, 80), false),
                (Owner { uid: 1337, ..nobody }, at(family.peer, 80), false),
                (Owner { uid: 0, ..nobody }, at(family.peer, 80), false),
                (Owner { gid: 600, ..nobody }, at(family.peer, 80), false),
                (Owner { mark: 0x35, ..nobody }, at(family.peer, 80), false),
                (Owner { mark: 0x45, ..nobody }, at(family.peer, 80), true),
            ] {
                let expected = if redirected {
                    Arrival::Proxy(destination)
                } else {
                    Arrival::Server
                };
                let arrived = outbound(&setting, family, owner, destination)?;
                assert_eq!(arrived, expected, "{backend}: {owner:?} to {destination}");
            }
        }
    }
    Ok(())
}

#[test]
fn an_interface_left_alone_is_left_alone_in_both_directions() -> Result<()> {
    for backend in BACKENDS {
        let setting = Setting::new()?;
        init(
            &setting.pod,
            &["install", "--backend", backend, "--leave-interfaces=eth1"],
        )?;
        for family in FAMILIES {
            let by_eth1 = at(family.peer_by_eth1, 80);
            assert_eq!(outbound(&setting, family, Owner::default(), by_eth1)?, Arrival::Server);
            let own_by_eth1 = at(&family.pod.replace("77", "78"), 80);
            let proxy = at(&family.pod.replace("77", "78"), 15006);
            assert_eq!(inbound(&setting, own_by_eth1, proxy)?, Arrival::Server);
            let by_eth0 = at(family.pod, 80);
            assert_eq!(
                inbound(&setting, by_eth0, at(family.pod, 15006))?,
                Arrival::Proxy(by_eth0)
            );
        }
    }
    Ok(())
}

#[test]
fn inbound_connections_reach_the_proxy_except_on_its_own_and_excluded_ports() -> Result<()> {
    for backend in BACKENDS {
        let setting = Setting::new()?;
        let options = ["--include-inbound-ports=80-90,15020", "--exclude-inbound-ports=88"];
        init(
            &setting.pod,
            &[&["install", "--backend", backend], &options[..]].concat(),
        )?;
        for family in FAMILIES {
            for (port, redirected) in [(80, true), (90, true), (88, false), (91, false), (15020, false)] {
                let destination = at(family.pod, port);
                let expected = if redirected {
                    Arrival::Proxy(destination)
                } else {
                    Arrival::Server
                };
                assert_eq!(
                    inbound(&setting, destination, at(family.pod, 15006))?,
                    expected,
                    "{backend}: {destination}"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn loopback_and_the_pods_own_address_are_left_alone() -> Result<()> {
    for backend in BACKENDS {
        let setting = Setting::new()?;
        init(&setting.pod, &["install", "--backend", backend])?;
        for family in FAMILIES {
            for destination in [at(family.loopback, 80), at(family.pod, 80)] {
                let server = listen(&setting.pod, destination)?;
                let proxy = listen(&setting.pod, at(family.loopback, 15001))?;
                let arrived = arrival(&setting.pod, Owner::default(), &server, &proxy)?;
                assert_eq!(arrived, Arrival::Server, "{backend}: {destination}");
            }
        }
    }
    Ok(())
}

#[test]
fn after_cleanup_connections_go_where_they_are_meant_to() -> Result<()> {
    for backend in BACKENDS {
        let setting = Setting::new()?;
        init(&setting.pod, &["install", "--backend", backend])?;
        init(&setting.pod, &["cleanup"])?;
        for family in FAMILIES {
            assert_eq!(
                outbound(&setting, family, Owner::default(), at(family.peer, 80))?,
                Arrival::Server
            );
            assert_eq!(
                inbound(&setting, at(family.pod, 80), at(family.pod, 15006))?,
                Arrival::Server
            );
        }
    }
    Ok(())
}
