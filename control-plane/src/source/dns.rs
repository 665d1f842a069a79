//! Names that are resolved again and again: for services that are outside of every cluster and in no document.
//!
//! Each name is a service whose endpoints are the addresses that it has at the moment. What cannot be resolved any more stays as it
//! was. The service is called `HOST@VIP`: a host may stand behind several addresses, and no document has such a name. An address that
//! the document has is the document's.

use super::EndpointSource;
use crate::views::{Changes, Rank, Served, Views};
use evenkeel_control_api::mesh::model::{Endpoint, Endpoints, Service, ServicePort};
use std::collections::{BTreeMap, HashMap};
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
    /// What its service is called.
    fn service(&self) -> String {
        format!("{}@{}", self.host, self.vip.ip())
    }

    /// The port of its service, where the name has these addresses.
    fn service_port(&self, addresses: &[SocketAddr]) -> Option<ServicePort> {
        Some(ServicePort {
            endpoints: Endpoints::Known(addresses.iter().copied().map(Endpoint::new).collect()),
            ..ServicePort::new(NonZeroU16::new(self.vip.port())?)
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
    ///
    /// # Errors
    /// Two of them are for the same address, as a sentence for people.
    pub fn new(names: Vec<DnsName>) -> Result<Self, String> {
        let mut taken = HashMap::new();
        for name in &names {
            if let Some(first) = taken.insert(name.vip, name) {
                return Err(format!(
                    "--dns: {} is given twice, for {}:{} and for {}:{}",
                    name.vip, first.host, first.port, name.host, name.port
                ));
            }
        }
        Ok(Self(names))
    }

    /// Where clients connect to.
    pub fn vips(&self) -> impl Iterator<Item = SocketAddr> {
        self.0.iter().map(|name| name.vip)
    }

    /// The service of a name, with all its ports that are known.
    fn service(&self, name: &DnsName, known: &[Option<Vec<SocketAddr>>]) -> Service {
        let service = name.service();
        let ports = self.0.iter().zip(known).filter(|(other, _)| other.service() == service);
        Service {
            vips: vec![name.vip.ip()],
            ports: ports
                .filter_map(|(other, addresses)| other.service_port(addresses.as_ref()?))
                .collect(),
            ..Service::new(service)
        }
    }
}

impl EndpointSource for Dns {
    async fn run(self, views: Arc<Views>) {
        let mut known: Vec<Option<Vec<SocketAddr>>> = vec![None; self.0.len()];
        loop {
            for (index, name) in self.0.iter().enumerate() {
                let since = Instant::now();
                let Some(addresses) = name.addresses().await else {
                    continue;
                };
                if known[index].as_ref() == Some(&addresses) {
                    continue;
                }
                tracing::info!(host = name.host, ?addresses, "a name has other addresses");
                known[index] = Some(addresses);
                let service = self.service(name, &known);
                let key = service.name.as_str().into();
                let served = Served {
                    rank: Rank::Beside,
                    ..service.into()
                };
                views.apply(Changes {
                    services: BTreeMap::from([(key, Some(served))]),
                    pod: None,
                    since,
                });
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::Class;
    use evenkeel_control_api::mesh::{Reader, translate_service};
    use evenkeel_control_api::resource::Kind;
    use evenkeel_control_api::xds;

    fn dns(names: &[&str]) -> Result<Dns, String> {
        Dns::new(names.iter().map(|name| name.parse().unwrap()).collect())
    }

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
        // A service of the document may be called as the host is, and another that the source tells may not push it out.
        let mut namesake = Service::new("localhost");
        namesake.vips = vec!["10.0.0.9".parse().unwrap()];
        namesake.ports = vec![ServicePort::new(NonZeroU16::MIN)];
        views.apply(Changes {
            services: BTreeMap::from([("localhost".into(), Some(namesake.into()))]),
            pod: None,
            since: Instant::now(),
        });
        let given = [
            "10.0.0.1:80=localhost:8080",
            "10.0.0.2:81=localhost:8081",
            "10.0.0.2:82=localhost:8082",
        ];
        let task = tokio::spawn(dns(&given).unwrap().run(Arc::clone(&views)));
        let listeners = ["10.0.0.1:80", "10.0.0.2:81", "10.0.0.2:82", "10.0.0.9:1"];
        let told = view.wait_for(|view| {
            let mut there = listeners
                .iter()
                .map(|name| view.version(Kind::Listener, name).is_some());
            there.all(|there| there)
        });
        timeout(Duration::from_secs(30), told).await.unwrap().unwrap();
        task.abort();
        let counts = views.counts();
        assert!(counts.services == 3 && counts.endpoints >= 3, "{counts:?}");
    }

    #[test]
    fn a_proxy_understands_what_the_services_are_called() {
        for given in ["10.0.0.1:80=db.example.com:5432", "[fd00::1]:80=db.example.com:5432"] {
            let dns = dns(&[given]).unwrap();
            let service = dns.service(&dns.0[0], &[Some(vec!["192.0.2.1:5432".parse().unwrap()])]);
            let messages = translate_service(&service, Reader::Other);
            assert_eq!(xds::decode(&messages).map(drop), Ok(()), "{given}");
        }
    }

    #[test]
    fn an_address_that_is_given_twice_is_refused() {
        let refused = dns(&["10.0.0.1:80=a:8080", "10.0.0.1:81=a:8080", "10.0.0.1:80=b:9090"]).unwrap_err();
        assert_eq!(refused, "--dns: 10.0.0.1:80 is given twice, for a:8080 and for b:9090");
    }
}
