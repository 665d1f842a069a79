//! One evenkeel-init at a time in a network namespace.
//!
//! The lock is an abstract unix socket, whose names belong to the network namespace: it needs no writable file system,
//! containers of one pod share it, and the kernel releases it with its holder. Whoever waits connects to it and reads:
//! the end of the holder ends the connection, so that no one has to ask again and again.

use std::io;
use std::io::Read;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use nix::fcntl::FcntlArg;
use nix::fcntl::FdFlag;
use nix::fcntl::fcntl;
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;

use crate::fault::Fault;

const NAME: &[u8] = b"evenkeel-init";

/// The lock, held until it is dropped and every program that was started under it has ended.
#[derive(Debug)]
pub struct Lock {
    _socket: UnixListener,
}

impl Lock {
    /// Takes the lock of this network namespace; waits for another holder for `seconds`, and then says who it is.
    pub fn take(seconds: u16) -> Result<Lock, Fault> {
        Lock::take_named(NAME, seconds)
    }

    fn take_named(name: &[u8], seconds: u16) -> Result<Lock, Fault> {
        let taking = |source| Fault::System {
            doing: "taking the lock of this pod (an abstract unix socket)".to_owned(),
            source,
        };
        let address = SocketAddr::from_abstract_name(name).map_err(taking)?;
        let deadline = Instant::now() + Duration::from_secs(seconds.into());
        loop {
            match UnixListener::bind_addr(&address) {
                Ok(socket) => {
                    // Inherited by iptables-restore: if we are killed while it works, the next one waits for it.
                    fcntl(&socket, FcntlArg::F_SETFD(FdFlag::empty())).map_err(|errno| taking(errno.into()))?;
                    return Ok(Lock { _socket: socket });
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => (),
                Err(error) => return Err(taking(error)),
            }
            if let Wait::TimedOut { holder } = wait(&address, deadline).map_err(taking)? {
                return Err(Fault::Locked {
                    holder,
                    waited_seconds: seconds,
                });
            }
        }
    }
}

enum Wait {
    Released,
    TimedOut { holder: String },
}

fn wait(address: &SocketAddr, deadline: Instant) -> io::Result<Wait> {
    let stream = match UnixStream::connect_addr(address) {
        Ok(stream) => stream,
        // Its holder has just ended, or has bound it and does not listen yet.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && Instant::now() < deadline => {
            thread::yield_now();
            return Ok(Wait::Released);
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            return Ok(Wait::TimedOut { holder: String::new() });
        }
        Err(error) => return Err(error),
    };
    let holder = || match getsockopt(&stream, PeerCredentials) {
        Ok(credentials) => format!(" (process {}, uid {})", credentials.pid(), credentials.uid()),
        Err(_) => String::new(),
    };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Ok(Wait::TimedOut { holder: holder() });
    }
    stream.set_read_timeout(Some(left))?;
    match (&stream).read(&mut [0]) {
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            Ok(Wait::TimedOut { holder: holder() })
        }
        // The end of the connection, in whatever form, is the end of the holder.
        _ => Ok(Wait::Released),
    }
}

#[cfg(test)]
mod tests {
    use std::process;
    use std::sync::mpsc;

    use super::*;

    fn name(test: &str) -> Vec<u8> {
        format!("evenkeel-init-test-{test}-{}", process::id()).into_bytes()
    }

    #[test]
    fn a_second_holder_waits_for_the_first() {
        let name = name("waits");
        let first = Lock::take_named(&name, 5).unwrap();
        let (sender, receiver) = mpsc::channel();
        let waiting = thread::spawn({
            let name = name.clone();
            move || {
                let second = Lock::take_named(&name, 30).unwrap();
                sender.send(()).unwrap();
                second
            }
        });
        assert!(receiver.try_recv().is_err());
        drop(first);
        receiver.recv_timeout(Duration::from_secs(30)).unwrap();
        drop(waiting.join().unwrap());
    }

    #[test]
    fn waiting_ends_with_the_name_of_the_holder() {
        let name = name("bounded");
        let _first = Lock::take_named(&name, 5).unwrap();
        let fault = Lock::take_named(&name, 1).unwrap_err().to_string();
        assert!(fault.contains(&format!("process {}", process::id())), "{fault}");
        assert!(fault.contains("for over 1 s"), "{fault}");
    }

    #[test]
    fn a_holder_that_does_not_listen_is_not_waited_for_without_end() {
        use nix::sys::socket::AddressFamily;
        use nix::sys::socket::SockFlag;
        use nix::sys::socket::SockType;
        use nix::sys::socket::UnixAddr;
        let name = name("mute");
        let mute =
            nix::sys::socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        nix::sys::socket::bind(
            std::os::fd::AsRawFd::as_raw_fd(&mute),
            &UnixAddr::new_abstract(&name).unwrap(),
        )
        .unwrap();
        assert!(matches!(Lock::take_named(&name, 1), Err(Fault::Locked { .. })));
    }

    #[test]
    fn a_lock_that_was_dropped_can_be_taken_at_once() {
        let name = name("again");
        for _ in 0..3 {
            drop(Lock::take_named(&name, 1).unwrap());
        }
    }
}
