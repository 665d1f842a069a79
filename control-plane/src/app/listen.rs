//! Where a listener is.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use tokio::net::TcpListener;

/// An address, or a port of all addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// There.
    At(SocketAddr),
    /// At every address of both families; of IPv4 alone on a host without IPv6.
    Everywhere(u16),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(port) = text.parse() {
            return Ok(Self::Everywhere(port));
        }
        let address = text
            .parse()
            .map_err(|_| format!("`{text}` should be a port or IP:PORT"))?;
        Ok(Self::At(address))
    }
}

/// With the address that it became, where port 0 was asked for.
pub(super) async fn bind(listen: Listen) -> Result<(TcpListener, SocketAddr), String> {
    let bound = async {
        let listener = match listen {
            Listen::At(address) => TcpListener::bind(address).await?,
            Listen::Everywhere(port) => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
                Ok(listener) => listener,
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
                Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?,
            },
        };
        let address = listener.local_addr()?;
        Ok::<_, io::Error>((listener, address))
    };
    let place = match listen {
        Listen::At(address) => address.to_string(),
        Listen::Everywhere(port) => format!("port {port}"),
    };
    bound
        .await
        .map_err(|error| format!("cannot listen on {place}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_means_every_address() {
        assert_eq!("15012".parse(), Ok(Listen::Everywhere(15_012)));
        assert_eq!("[::1]:1".parse(), Ok(Listen::At("[::1]:1".parse().unwrap())));
        assert!("host:1".parse::<Listen>().is_err());
    }

    #[tokio::test]
    async fn every_address_is_reached_by_either_family() {
        let (listener, address) = bind(Listen::Everywhere(0)).await.unwrap();
        let connect = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, address.port()));
        let (connected, accepted) = tokio::join!(connect, listener.accept());
        assert!(connected.is_ok() && accepted.is_ok());
    }
}
