//! One outbound connection, made to find out whether it arrives at the proxy's port with its destination kept.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::Duration;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::PollFd;
use nix::poll::PollFlags;
use nix::poll::PollTimeout;
use nix::poll::poll;
use nix::unistd::Gid;
use nix::unistd::Uid;
use nix::unistd::getegid;
use nix::unistd::geteuid;
use nix::unistd::setfsgid;
use nix::unistd::setfsuid;
use socket2::Domain;
use socket2::SockRef;
use socket2::Socket;
use socket2::Type;

use crate::address;
use crate::family::Family;
use crate::fault::Fault;
use crate::plan::Plan;

/// A redirected connection arrives within the call that makes it, for it never leaves the machine; this is for a machine
/// that is very busy.
const ARRIVES_WITHIN: Duration = Duration::from_secs(3);

/// Makes a connection to `destination`, which the plan redirects, and compares what arrives.
pub fn outbound(plan: &Plan, family: Family, destination: SocketAddr) -> Result<(), Fault> {
    let listener = listen(plan, family)?;
    let client = connect(plan, family, destination)?;
    let local = client.local_addr().ok().and_then(|address| address.as_socket());
    let not_redirected = |why| Fault::NotRedirected { family, why };
    let Some(accepted) =
        accept_from(&listener, local).map_err(system("accepting the connection made for the trial"))?
    else {
        return Err(not_redirected(format!(
            "a connection to {destination} did not arrive at {} within {} s. Another rule takes it first; compare \
             `{}-save -t nat` with `evenkeel-init print`.",
            SocketAddr::new(family.loopback(), plan.outbound_port),
            ARRIVES_WITHIN.as_secs(),
            family.program(),
        )));
    };
    let original = original_destination(&accepted, family).map_err(|error| {
        not_redirected(format!(
            "a connection to {destination} arrived, and the kernel does not tell where it was meant to go ({error}); is the \
             module nf_conntrack loaded?"
        ))
    })?;
    if original != destination {
        return Err(not_redirected(format!(
            "a connection to {destination} arrived as one to {original}: another rule rewrites it before ours."
        )));
    }
    Ok(())
}

fn listen(plan: &Plan, family: Family) -> Result<TcpListener, Fault> {
    let address = SocketAddr::new(family.loopback(), plan.outbound_port);
    let listener = TcpListener::bind(address).map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::AddrInUse => {
                format!("{address} is in use: the proxy (or something else) is running already. Run verify before it starts.")
            }
            _ => format!("{address} cannot be bound: {error}"),
        };
        Fault::CannotTry { family, why }
    })?;
    listener
        .set_nonblocking(true)
        .map_err(system("making a socket non-blocking"))?;
    Ok(listener)
}

fn connect(plan: &Plan, family: Family, destination: SocketAddr) -> Result<Socket, Fault> {
    let socket = socket_of_the_mesh(plan, family)?;
    socket
        .set_nonblocking(true)
        .map_err(system("making a socket non-blocking"))?;
    match socket.connect(&destination.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::EINPROGRESS as i32) => {
            let why = format!("connecting to {destination} fails at once: {error}");
            Err(Fault::CannotTry { family, why })
        }
        _ => Ok(socket),
    }
}

/// A socket whose owner is not exempt. Rules go by the file system uid and gid of the thread that makes a socket.
fn socket_of_the_mesh(plan: &Plan, family: Family) -> Result<Socket, Fault> {
    let (user, group) = (geteuid(), getegid());
    let other_user = Uid::from_raw(not_exempt(user.as_raw(), &plan.exempt_uids));
    let other_group = Gid::from_raw(not_exempt(group.as_raw(), &plan.exempt_gids));
    setfsgid(other_group);
    setfsuid(other_user);
    let domain = match family {
        Family::V4 => Domain::IPV4,
        Family::V6 => Domain::IPV6,
    };
    let socket = Socket::new(domain, Type::STREAM, None);
    // Both answer with the identity that was in force until now, and report no error.
    let in_force = (setfsuid(user), setfsgid(group));
    if in_force != (other_user, other_group) {
        let why = format!(
            "verify runs as user {user} and group {group}, which the options exempt, and may not act for another. Run it as a \
             user that is not exempt, or give it the capabilities SETUID and SETGID."
        );
        return Err(Fault::CannotTry { family, why });
    }
    socket.map_err(system("making a socket"))
}

/// The caller's own number if it is redirected, else the nearest to "nobody" that is.
fn not_exempt(own: u32, exempt: &BTreeSet<u32>) -> u32 {
    let others = (0..=65534).rev();
    std::iter::once(own)
        .chain(others)
        .find(|number| !exempt.contains(number))
        .unwrap_or(own)
}

/// The connection that comes from `local`; everybody else's, redirected while the proxy is away, are closed.
fn accept_from(listener: &TcpListener, local: Option<SocketAddr>) -> io::Result<Option<TcpStream>> {
    let deadline = Instant::now() + ARRIVES_WITHIN;
    loop {
        match listener.accept() {
            Ok((stream, peer)) if Some(peer) == local => return Ok(Some(stream)),
            Ok(_) => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => (),
            Err(error) => return Err(error),
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        if left.is_zero() || poll(&mut [PollFd::new(listener.as_fd(), PollFlags::POLLIN)], timeout)? == 0 {
            return Ok(None);
        }
    }
}

fn original_destination(accepted: &TcpStream, family: Family) -> io::Result<SocketAddr> {
    let socket = SockRef::from(accepted);
    let address = match family {
        Family::V4 => socket.original_dst_v4()?,
        Family::V6 => socket.original_dst_v6()?,
    };
    address
        .as_socket()
        .ok_or_else(|| io::Error::other("not an internet address"))
}

/// A destination that the plan redirects and that this namespace has a route to by an interface that is not left alone.
pub fn destination(plan: &Plan, family: Family) -> Result<Option<SocketAddr>, Fault> {
    let Some(port) = (1..=u16::MAX).rev().find(|port| plan.redirects_outbound_port(*port)) else {
        return Ok(None);
    };
    for address in candidates(plan, family)?
        .into_iter()
        .filter(|address| plan.redirects_outbound(*address, port))
    {
        let destination = SocketAddr::new(address, port);
        if address::interface_towards(destination).is_some_and(|interface| !plan.leaves_alone(&interface)) {
            return Ok(Some(destination));
        }
    }
    Ok(None)
}

/// Addresses of documentation first, which nobody has (RFC 5737, RFC 3849); then the first of what is included; then
/// the neighbours of our own, to which there is a route even without a gateway.
fn candidates(plan: &Plan, family: Family) -> Result<Vec<IpAddr>, Fault> {
    let nobodys: &[&str] = match family {
        Family::V4 => &["192.0.2.1", "198.51.100.1", "203.0.113.1"],
        Family::V6 => &["2001:db8::1", "2001:db8:ffff::1"],
    };
    let mut candidates: Vec<IpAddr> = nobodys.iter().filter_map(|text| text.parse().ok()).collect();
    candidates.extend(
        plan.outbound_cidrs
            .include
            .iter()
            .filter(|cidr| cidr.family() == family)
            .map(|cidr| cidr.first()),
    );
    let own: Vec<IpAddr> = address::global_addresses(family)?
        .into_iter()
        .map(|carrier| carrier.address)
        .collect();
    let neighbours = own
        .iter()
        .flat_map(|address| [neighbour(*address, 1), neighbour(*address, 3)]);
    candidates.extend(neighbours.filter(|neighbour| !own.contains(neighbour)));
    Ok(candidates)
}

fn neighbour(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V4((u32::from(v4) ^ u32::from(bits)).into()),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) ^ u128::from(bits)).into()),
    }
}

fn system(doing: &'static str) -> impl Fn(io::Error) -> Fault {
    move |source| Fault::System {
        doing: doing.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use crate::options::plan_from;

    use super::*;

    #[test]
    fn the_trial_is_made_as_oneself_unless_one_is_exempt() {
        assert_eq!(not_exempt(0, &BTreeSet::from([1337])), 0);
        assert_eq!(not_exempt(0, &BTreeSet::from([0, 1337, 65534])), 65533);
    }

    #[test]
    fn included_blocks_are_candidates() {
        let plan = plan_from(&["--include-outbound-cidrs=10.77.0.0/16,fd77::/64"]).unwrap();
        assert!(
            candidates(&plan, Family::V4)
                .unwrap()
                .contains(&"10.77.0.0".parse().unwrap())
        );
        assert!(
            candidates(&plan, Family::V6)
                .unwrap()
                .contains(&"fd77::".parse().unwrap())
        );
    }

    #[test]
    fn there_is_no_destination_when_nothing_is_redirected() {
        let plan = plan_from(&["--exclude-outbound-ports=1-65535"]).unwrap();
        assert_eq!(destination(&plan, Family::V4).unwrap(), None);
    }
}
