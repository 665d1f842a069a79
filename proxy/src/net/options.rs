//! TCP options of a listener (which hands them to what it accepts) or of a connection that we dial.

use std::io;
use std::time::Duration;

use socket2::SockRef;
use socket2::TcpKeepalive;

/// When a silent peer is asked whether it still lives, and when it counts as gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence before the first probe; whole seconds, at least one.
    pub idle: Duration,
    /// Time between probes; whole seconds, at least one.
    pub interval: Duration,
    /// Unanswered probes after which the connection fails with `ETIMEDOUT`.
    pub count: u32,
}

/// The options; `TCP_NODELAY` is not among them, because it is always set.
///
/// On a dialled connection keepalive costs four syscalls and the user timeout one; accepted connections inherit for
/// nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpOptions {
    /// `SO_KEEPALIVE`; off when absent.
    pub keepalive: Option<Keepalive>,
    /// `TCP_USER_TIMEOUT`: how long sent bytes may stay unacknowledged, in whole milliseconds; the system decides
    /// when absent.
    pub user_timeout: Option<Duration>,
}

impl TcpOptions {
    /// Sets them, and `TCP_NODELAY`, on a listener or on a socket that is not yet connected.
    pub fn apply(&self, socket: &SockRef<'_>) -> io::Result<()> {
        socket.set_tcp_nodelay(true)?;
        if let Some(keepalive) = self.keepalive {
            let keepalive = TcpKeepalive::new()
                .with_time(keepalive.idle)
                .with_interval(keepalive.interval)
                .with_retries(keepalive.count);
            socket.set_tcp_keepalive(&keepalive)?;
        }
        if self.user_timeout.is_some() {
            socket.set_tcp_user_timeout(self.user_timeout)?;
        }
        Ok(())
    }
}
