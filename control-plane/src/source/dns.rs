//! Names that are resolved again and again: for services that are outside of every cluster and in no document.
//!
//! Each name is a service whose endpoints are the addresses that it has at the moment. What cannot be resolved any more stays as it
//! was.

use super::EndpointSource;
use crate::views::{Changes, Views};
use evenkeel_control_api::mesh::model::{Endpoint, Endpoints, Service, ServicePort};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::lookup_host;
use tokio::time::{Instant, timeout};

/// Between two questions for the same name. The resolver of the system does not tell how long an answer holds.
const INTERVAL: Duration = Duration::from_secs(5);
/// For an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A service whose endpoints are a name's addresses: `VIP:PORT=HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsName {
    /// Where clients connect to.
    pub vip: SocketAddr,
    /// What is resolved.
    pub host: String,
    /// At its addresses.
    pub port: NonZeroU16,
}

/// All names.
#[derive(Debug)]
pub struct Dns(Vec<DnsName>);

impl FromStr for DnsName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` should be VIP:PORT=HOST:PORT");
        let (vip, target) = text.split_once('=').ok_or_else(wrong)?;
        let (host, port) = target.rsplit_once(':').ok_or_else(wrong)?;
        let vip: SocketAddr = vip.parse().map_err(|_| wrong())?;
        if vip.port() == 0 || host.is_empty() || host.parse::<IpAddr>().is_ok() || host.contains(['[', ':', '|']) {
            return Err(wrong());
        }
        Ok(Self {
            vip,
            host: host.to_owned(),
            port: port.parse().map_err(|_| wrong())?,
        })
    }
}

impl DnsName {
    /// The service, where the name has these addresses.
    fn service(&self, addresses: &[SocketAddr]) -> Option<Service> {
        let port = ServicePort {
            endpoints: Endpoints::Known(addresses.iter().copied().map(Endpoint::new).collect()),
            ..ServicePort::new(NonZeroU16::new(self.vip.port())?)
        };
        Some(Service {
            vips: vec![self.vip.ip()],
            ports: vec![port],
            ..Service::new(self.host.as_str())
        })
    }

    /// In an order that does not depend on the answer's; `None`: there is no answer.
    async fn addresses(&self) -> Option<Vec<SocketAddr>> {
        let answer = timeout(TIMEOUT, lookup_host((self.host.as_str(), self.port.get()))).await;
        let answer = answer.map_err(|_| "no answer in time".to_owned());
        match answer.and_then(|found| found.map_err(|error| error.to_string())) {
            Ok(found) => {
                let mut addresses: Vec<_> = found.collect();
                addresses.sort_unstable();
                addresses.dedup();
                Some(addresses)
            }
            Err(reason) => {
                tracing::debug!(host = self.host, reason, "a name is not resolved");
                None
            }
        }
    }
}

impl Dns {
    /// Of these names.
    pub fn new(names: Vec<DnsName>) -> Self {
        Self(names)
    }
}

impl EndpointSource for Dns {
    async fn run(self, views: Arc<Views>) {
        let mut known: Vec<Option<Vec<SocketAddr>>> = vec![None; self.0.len()];
        loop {
            for (name, known) in self.0.iter().zip(&mut known) {
                let since = Instant::now();
                let Some(addresses) = name.addresses().await else {
                    continue;
                };
                if known.as_ref() == Some(&addresses) {
                    continue;
                }
                tracing::info!(host = name.host, ?addresses, "a name has other addresses");
                let service = name.service(&addresses).map(Into::into);
                views.apply(Changes {
                    services: BTreeMap::from([(name.host.as_str().into(), service)]),
                    pod: None,
                    since,
                });
                *known = Some(addresses);
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::Class;
    use evenkeel_control_api::mesh::Reader;
    use evenkeel_control_api::resource::Kind;

    #[test]
    fn a_name_is_read_as_it_is_written() {
        let name: DnsName = "[fd00::1]:80=db.example.com:5432".parse().unwrap();
        assert_eq!(
            (name.vip.port(), name.host.as_str(), name.port.get()),
            (80, "db.example.com", 5432)
        );
        for wrong in [
            "",
            "db:80",
            "10.0.0.1=db:80",
            "10.0.0.1:0=db:80",
            "10.0.0.1:80=db:0",
            "10.0.0.1:80=:80",
            "10.0.0.1:80=[::1]:80",
        ] {
            assert!(wrong.parse::<DnsName>().is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn what_a_name_stands_for_becomes_a_service() {
        let views = Arc::new(Views::default());
        let mut view = views.subscribe(&Class {
            reader: Reader::Other,
            zone: None,
            pod: None,
        });
        let dns = Dns::new(vec!["10.0.0.1:80=localhost:8080".parse().unwrap()]);
        let task = tokio::spawn(dns.run(Arc::clone(&views)));
        let told = view.wait_for(|view| view.version(Kind::Listener, "10.0.0.1:80").is_some());
        timeout(Duration::from_secs(30), told).await.unwrap().unwrap();
        task.abort();
        assert!(views.counts().endpoints >= 1);
    }
}
