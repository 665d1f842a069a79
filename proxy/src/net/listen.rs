//! Listening sockets and accepting from them, out of file descriptors included.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use nix::errno::Errno;
use socket2::Domain;
use socket2::Protocol;
use socket2::SockRef;
use socket2::Socket;
use socket2::Type;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio::time::sleep_until;

use crate::net::options::TcpOptions;

/// Connections that may wait to be accepted; the kernel lowers it to `net.core.somaxconn`, which is 4,096 by default.
const BACKLOG: i32 = 4096;

/// How long the first pause after running out of something is, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(160));

/// Opens a listener whose options every accepted connection inherits, so that accepting costs one syscall.
///
/// IPv6 sockets take IPv6 only: each family has a listener of its own, and no address is ever a v4-mapped one.
pub fn bind(address: SocketAddr, options: &TcpOptions) -> io::Result<std::net::TcpListener> {
    open(address, options).map_err(|error| {
        let text = format!("cannot listen on {address}: {error}; {}", advice(error.kind()));
        io::Error::new(error.kind(), text)
    })
}

fn open(address: SocketAddr, options: &TcpOptions) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restarted proxy must not wait a minute for the connections of its predecessor (TIME_WAIT).
    socket.set_reuse_address(true)?;
    options.apply(&SockRef::from(&socket))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::AddrInUse => "another process holds this port: stop it or configure another port",
        io::ErrorKind::AddrNotAvailable => "no interface of this pod has this address",
        io::ErrorKind::PermissionDenied => "ports below 1024 need CAP_NET_BIND_SERVICE: configure a higher port",
        _ => "check that this address family is enabled in the pod",
    }
}

/// Why no connection was accepted. The acceptor goes on after each of them.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// This process or the whole system has no file descriptor left.
    #[error("out of file descriptors: {0}")]
    OutOfDescriptors(Errno),
    /// The kernel has no memory for the socket.
    #[error("out of socket memory: {0}")]
    OutOfMemory(Errno),
    /// The listener itself is broken.
    #[error("the listener failed: {0}")]
    Listener(io::Error),
}

/// Accepts connections, and pauses after a failure instead of spinning.
#[derive(Debug)]
pub struct Acceptor {
    listener: TcpListener,
    pause: Duration,
    resume: Option<Instant>,
}

impl Acceptor {
    /// Registers the listener with the runtime of the calling thread.
    pub fn new(listener: std::net::TcpListener) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::from_std(listener)?,
            pause: PAUSE.0,
            resume: None,
        })
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next connection, and the address of its client. Connections that died in the queue are passed over.
    ///
    /// A failure is returned at once, so that it can be counted; the call after it waits 10 ms, and up to 160 ms if it
    /// fails again. May be cancelled at any time.
    pub async fn accept(&mut self) -> Result<(TcpStream, SocketAddr), AcceptError> {
        if let Some(resume) = self.resume {
            sleep_until(resume).await;
            self.resume = None;
        }
        loop {
            let error = match self.listener.accept().await {
                Ok(accepted) => {
                    self.pause = PAUSE.0;
                    return Ok(accepted);
                }
                Err(error) => error,
            };
            if let Some(failure) = classify(error) {
                self.resume = Some(Instant::now() + self.pause);
                self.pause = (self.pause * 2).min(PAUSE.1);
                return Err(failure);
            }
        }
    }
}

/// Nothing when only that one connection was lost: Linux reports errors of the new connection here (accept(2)), and a
/// firewall may refuse it with `EPERM`.
fn classify(error: io::Error) -> Option<AcceptError> {
    let Some(code) = error.raw_os_error() else {
        return Some(AcceptError::Listener(error));
    };
    match Errno::from_raw(code) {
        code @ (Errno::EMFILE | Errno::ENFILE) => Some(AcceptError::OutOfDescriptors(code)),
        code @ (Errno::ENOBUFS | Errno::ENOMEM) => Some(AcceptError::OutOfMemory(code)),
        Errno::ECONNABORTED
        | Errno::ECONNRESET
        | Errno::EINTR
        | Errno::EPERM
        | Errno::EPROTO
        | Errno::ETIMEDOUT
        | Errno::ENETDOWN
        | Errno::ENETUNREACH
        | Errno::EHOSTDOWN
        | Errno::EHOSTUNREACH
        | Errno::ENONET
        | Errno::ENOPROTOOPT => None,
        _ => Some(AcceptError::Listener(error)),
    }
}

#[cfg(test)]
mod tests {
    use socket2::SockRef;

    use super::*;
    use crate::net::options::Keepalive;
    use crate::net::testing::FAMILIES;

    #[tokio::test]
    async fn both_families_listen_on_the_same_port() {
        let options = TcpOptions::default();
        let v4 = bind("0.0.0.0:0".parse().unwrap(), &options).unwrap();
        let port = v4.local_addr().unwrap().port();
        let v6 = bind(format!("[::]:{port}").parse().unwrap(), &options).unwrap();
        assert_eq!(v6.local_addr().unwrap().port(), port);
    }

    #[tokio::test]
    async fn what_is_accepted_inherits_the_options_of_its_listener() {
        let options = TcpOptions {
            keepalive: Some(Keepalive {
                idle: Duration::from_secs(61),
                interval: Duration::from_secs(7),
                count: 4,
            }),
            user_timeout: Some(Duration::from_secs(33)),
        };
        for ip in FAMILIES {
            let mut acceptor = Acceptor::new(bind(SocketAddr::new(ip, 0), &options).unwrap()).unwrap();
            let client = TcpStream::connect(acceptor.local_addr().unwrap()).await.unwrap();
            let (accepted, peer) = acceptor.accept().await.unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
            let socket = SockRef::from(&accepted);
            assert!(socket.tcp_nodelay().unwrap());
            assert!(socket.keepalive().unwrap());
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(61));
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(7));
            assert_eq!(socket.tcp_keepalive_retries().unwrap(), 4);
            assert_eq!(socket.tcp_user_timeout().unwrap(), options.user_timeout);
        }
    }

    #[test]
    fn a_port_that_is_taken_is_named_with_what_to_do() {
        let options = TcpOptions::default();
        let first = bind("127.0.0.1:0".parse().unwrap(), &options).unwrap();
        let address = first.local_addr().unwrap();
        let error = bind(address, &options).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let text = error.to_string();
        assert!(
            text.contains(&address.to_string()) && text.contains("another process"),
            "{text}"
        );
    }

    #[test]
    fn errors_of_one_connection_are_passed_over_and_shortages_are_told_apart() {
        let outcome = |code: Errno| classify(io::Error::from(code));
        for code in [Errno::ECONNABORTED, Errno::EINTR, Errno::EPERM, Errno::ENETUNREACH] {
            assert!(outcome(code).is_none(), "{code}");
        }
        for code in [Errno::EMFILE, Errno::ENFILE] {
            assert!(
                matches!(outcome(code), Some(AcceptError::OutOfDescriptors(_))),
                "{code}"
            );
        }
        for code in [Errno::ENOBUFS, Errno::ENOMEM] {
            assert!(matches!(outcome(code), Some(AcceptError::OutOfMemory(_))), "{code}");
        }
        assert!(matches!(outcome(Errno::EINVAL), Some(AcceptError::Listener(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_the_acceptor_pauses_longer_and_longer() {
        // A socket that does not listen fails every accept with EINVAL.
        let deaf = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None).unwrap();
        let mut acceptor = Acceptor::new(deaf.into()).unwrap();
        let mut pauses = Vec::new();
        for _ in 0..7 {
            let before = Instant::now();
            assert!(matches!(acceptor.accept().await, Err(AcceptError::Listener(_))));
            pauses.push(before.elapsed().as_millis());
        }
        assert_eq!(pauses, [0, 10, 20, 40, 80, 160, 160]);
    }
}
