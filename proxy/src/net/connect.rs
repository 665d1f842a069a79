//! Dialling an upstream.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpSocket;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::failure::Reason;
use crate::net::options::TcpOptions;

/// A connection attempt that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to {address}: {source}")]
pub struct ConnectError {
    /// Whom we dialled.
    pub address: SocketAddr,
    /// One of `ConnectRefused`, `ConnectTimeout`, `ConnectFailed`.
    pub reason: Reason,
    /// What the system said.
    pub source: io::Error,
}

/// Dials `address` and gives up after `limit`.
pub async fn connect(address: SocketAddr, options: &TcpOptions, limit: Duration) -> Result<TcpStream, ConnectError> {
    let attempt = async {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        options.apply(&SockRef::from(&socket))?;
        socket.connect(address).await
    };
    let outcome = timeout(limit, attempt).await;
    outcome
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|source| ConnectError {
            address,
            reason: reason(&source),
            source,
        })
}

fn reason(error: &io::Error) -> Reason {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Reason::ConnectRefused,
        io::ErrorKind::TimedOut => Reason::ConnectTimeout,
        _ => Reason::ConnectFailed,
    }
}

#[cfg(test)]
mod tests {
    use socket2::Domain;
    use socket2::Socket;
    use socket2::Type;
    use tokio::net::TcpListener;

    use super::*;
    use crate::net::testing::FAMILIES;

    const LIMIT: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn a_connection_has_its_options_and_an_unheard_port_refuses() {
        let options = TcpOptions {
            keepalive: None,
            user_timeout: Some(Duration::from_secs(20)),
        };
        for ip in FAMILIES {
            let listener = TcpListener::bind(SocketAddr::new(ip, 0)).await.unwrap();
            let address = listener.local_addr().unwrap();
            let stream = connect(address, &options, LIMIT).await.unwrap();
            assert!(stream.nodelay().unwrap());
            assert_eq!(SockRef::from(&stream).tcp_user_timeout().unwrap(), options.user_timeout);

            drop((listener, stream));
            let error = connect(address, &options, LIMIT).await.unwrap_err();
            assert_eq!((error.reason, error.address), (Reason::ConnectRefused, address));
        }
    }

    #[tokio::test]
    async fn an_address_that_cannot_be_dialled_is_neither_refused_nor_late() {
        let broadcast = "255.255.255.255:80".parse().unwrap();
        let error = connect(broadcast, &TcpOptions::default(), LIMIT).await.unwrap_err();
        assert_eq!(error.reason, Reason::ConnectFailed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_answer_is_given_up() {
        // A full accept queue drops the next SYN.
        let silent = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        silent.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        silent.listen(0).unwrap();
        let address = silent.local_addr().unwrap().as_socket().unwrap();
        let mut queued = Vec::new();
        let error = loop {
            match connect(address, &TcpOptions::default(), LIMIT).await {
                Ok(stream) => queued.push(stream),
                Err(error) => break error,
            }
            assert!(queued.len() < 10, "the queue is never full");
        };
        assert_eq!(error.reason, Reason::ConnectTimeout);
    }
}
