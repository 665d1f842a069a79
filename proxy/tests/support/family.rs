//! The address family that a test runs over. Its helpers ask for it here, so that a test says nothing of it and runs over both.

use std::cell::Cell;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

thread_local! {
    static CURRENT: Cell<Family> = const { Cell::new(Family::V4) };
}

impl Family {
    /// Of the test on this thread.
    pub(crate) fn current() -> Self {
        CURRENT.get()
    }

    pub(crate) fn loopback(self) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::LOCALHOST.into(),
            Self::V6 => Ipv6Addr::LOCALHOST.into(),
        }
    }

    /// A Service's; `number` tells services apart.
    pub(crate) fn vip(self, number: u8) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::new(10, 96, 0, number).into(),
            Self::V6 => Ipv6Addr::new(0xfd00, 0x96, 0, 0, 0, 0, 0, number.into()).into(),
        }
    }

    /// Somebody's in another pod.
    pub(crate) fn stranger(self) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::new(192, 0, 2, 9).into(),
            Self::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9).into(),
        }
    }
}

/// The loopback address of the test's family, with any port that is free.
pub(crate) fn anywhere() -> SocketAddr {
    SocketAddr::new(Family::current().loopback(), 0)
}

/// Does it over one family, then over the other; what fails says over which.
pub(crate) fn over_both(test: impl Fn()) {
    for family in [Family::V4, Family::V6] {
        CURRENT.set(family);
        let _said = Said(family);
        test();
    }
}

struct Said(Family);

impl Drop for Said {
    #[expect(
        clippy::print_stderr,
        reason = "the message of the test that failed does not know its family"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("it failed over {:?}", self.0);
        }
    }
}
