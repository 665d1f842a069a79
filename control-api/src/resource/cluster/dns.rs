//! `STRICT_DNS` and `LOGICAL_DNS`: endpoints that are named, and how their names are resolved.

use crate::report::Report;
use crate::report::note_set;
use crate::report::refuse_set;
use crate::resource::endpoint;
use crate::resource::endpoint::ClusterLoadAssignment;
use crate::resource::endpoint::Endpoint;
use crate::resource::value;
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster as proto;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment as ProtoAssignment;
use envoy_types::pb::envoy::extensions::network::dns_resolver::cares::v3::CaresDnsResolverConfig;
use envoy_types::pb::envoy::extensions::network::dns_resolver::getaddrinfo::v3::GetAddrInfoDnsResolverConfig;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::google::protobuf::Duration as ProtoDuration;
use prost::Name;
use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What names of resolved assignments begin with. No EDS resource has such a name: it would be refused.
pub const RESOLVED: &str = "dns|";

/// As in Envoy.
const REFRESH: Duration = Duration::from_secs(5);
/// As in Envoy.
const SHORTEST: Duration = Duration::from_millis(1);
/// As in Envoy: where it is not set, the longest pause is so many times the first.
const LONGEST: u32 = 10;

/// The endpoints of a cluster by their names.
#[derive(Clone, Debug, PartialEq)]
pub struct Dns {
    /// The name of the assignment that the answers become.
    pub assignment: String,
    /// Which of a name's addresses are endpoints.
    pub answers: Answers,
    /// `dns_lookup_family`.
    pub family: LookupFamily,
    /// When to ask.
    pub timing: Timing,
    /// Whom to ask for.
    pub hosts: ClusterLoadAssignment<Host>,
}

/// A name, or an address that needs no resolving, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    /// Such as `db.example.com`.
    pub name: Arc<str>,
    /// Of each of its addresses.
    pub port: u16,
}

/// Which of a name's addresses are endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// `STRICT_DNS`.
    Every,
    /// `LOGICAL_DNS`: the first, for new connections.
    First,
}

/// `dns_lookup_family`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupFamily {
    /// `AUTO`: those of IPv6; where there are none, those of IPv4.
    V6Preferred,
    /// `V4_PREFERRED`: the other way round.
    V4Preferred,
    /// `V4_ONLY`.
    V4Only,
    /// `V6_ONLY`.
    V6Only,
    /// `ALL`.
    All,
}

/// When a name is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// After an answer.
    pub refresh: Duration,
    /// Up to so much later, by chance.
    pub jitter: Duration,
    /// After a failure; `None`: as after an answer.
    pub failure: Option<FailureBackoff>,
}

/// `dns_failure_refresh_rate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureBackoff {
    /// After the first failure; it doubles with each.
    pub first: Duration,
    /// Until it is this.
    pub most: Duration,
}

/// What a cluster says of how names are resolved.
pub(super) struct Fields {
    pub(super) refresh_rate: Option<ProtoDuration>,
    pub(super) jitter: Option<ProtoDuration>,
    pub(super) failure_refresh_rate: Option<proto::RefreshRate>,
    pub(super) respect_ttl: bool,
    pub(super) family: i32,
    pub(super) resolvers: Vec<core::Address>,
    pub(super) use_tcp: bool,
    pub(super) resolution: Option<core::DnsResolutionConfig>,
    pub(super) typed_resolver: Option<core::TypedExtensionConfig>,
}

impl Dns {
    /// The endpoints, where `answers` are the addresses of each host in turn.
    pub fn resolved<'a>(&self, answers: impl IntoIterator<Item = &'a [IpAddr]>) -> ClusterLoadAssignment {
        let mut known = HashSet::new();
        let mut endpoints = Vec::new();
        for (host, answer) in self.hosts.endpoints.iter().zip(answers) {
            let chosen = match self.answers {
                Answers::Every => answer,
                Answers::First => &answer[..answer.len().min(1)],
            };
            let addresses = chosen.iter().map(|ip| SocketAddr::new(*ip, host.address.port));
            // Two names may be of one host.
            let fresh = addresses.filter(|address| known.insert(*address));
            endpoints.extend(fresh.map(|address| Endpoint {
                address,
                weight: host.weight,
                health: host.health,
                place: Arc::clone(&host.place),
            }));
        }
        ClusterLoadAssignment {
            cluster: self.assignment.clone(),
            endpoints,
            policy: self.hosts.policy,
        }
    }
}

impl LookupFamily {
    /// Which of a name's addresses count.
    pub fn choose(self, mut addresses: Vec<IpAddr>) -> Vec<IpAddr> {
        let has_v4 = addresses.iter().any(IpAddr::is_ipv4);
        let has_v6 = addresses.iter().any(IpAddr::is_ipv6);
        match self {
            Self::All => {}
            Self::V4Only => addresses.retain(IpAddr::is_ipv4),
            Self::V6Only => addresses.retain(IpAddr::is_ipv6),
            Self::V4Preferred => addresses.retain(|ip| ip.is_ipv4() == has_v4),
            Self::V6Preferred => addresses.retain(|ip| ip.is_ipv6() == has_v6),
        }
        addresses
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.port)
    }
}

impl Fields {
    /// Takes them out.
    pub(super) fn take(message: &mut Cluster) -> Self {
        #[expect(deprecated, reason = "Envoy still obeys these fields")]
        Self {
            refresh_rate: message.dns_refresh_rate.take(),
            jitter: message.dns_jitter.take(),
            failure_refresh_rate: message.dns_failure_refresh_rate.take(),
            respect_ttl: message.respect_dns_ttl,
            family: message.dns_lookup_family,
            resolvers: std::mem::take(&mut message.dns_resolvers),
            use_tcp: message.use_tcp_for_dns_lookups,
            resolution: message.dns_resolution_config.take(),
            typed_resolver: message.typed_dns_resolver_config.take(),
        }
    }

    /// Where no name is resolved, none of this has an effect.
    pub(super) fn note(self, report: &mut Report) {
        let Self {
            refresh_rate: dns_refresh_rate,
            jitter: dns_jitter,
            failure_refresh_rate: dns_failure_refresh_rate,
            respect_ttl: respect_dns_ttl,
            family: dns_lookup_family,
            resolvers: dns_resolvers,
            use_tcp: use_tcp_for_dns_lookups,
            resolution: dns_resolution_config,
            typed_resolver: typed_dns_resolver_config,
        } = self;
        note_set!(report; dns_refresh_rate, dns_jitter, dns_failure_refresh_rate, respect_dns_ttl, dns_lookup_family);
        note_set!(report; dns_resolvers, use_tcp_for_dns_lookups, dns_resolution_config, typed_dns_resolver_config);
    }
}

/// Decodes the hosts in `load_assignment` and how they are resolved.
pub(super) fn decode(
    name: &str,
    answers: Answers,
    message: Option<ProtoAssignment>,
    fields: Fields,
    report: &mut Report,
) -> Option<Dns> {
    let Fields {
        refresh_rate,
        jitter,
        failure_refresh_rate,
        respect_ttl,
        family,
        resolvers: dns_resolvers,
        use_tcp: use_tcp_for_dns_lookups,
        resolution,
        typed_resolver,
    } = fields;
    // Another server might say something else.
    refuse_set!(report; dns_resolvers);
    note_set!(report; use_tcp_for_dns_lookups);
    check_resolution(resolution, report);
    check_resolver(typed_resolver, report);
    if respect_ttl {
        report.note_field(
            "respect_dns_ttl",
            "has no effect: the system's resolver does not tell it",
        );
    }
    let refresh = interval("dns_refresh_rate", refresh_rate, REFRESH, report);
    let timing = Timing {
        refresh,
        jitter: value::limit("dns_jitter", jitter, None, report).unwrap_or_default(),
        failure: failure_refresh_rate
            .and_then(|rate| report.within("dns_failure_refresh_rate", |report| failure_backoff(rate, report))),
    };
    let family = lookup_family(family, report);
    let hosts = report.within("load_assignment", |report| {
        let Some(message) = message else {
            report.refuse("is missing");
            return None;
        };
        let hosts = endpoint::decode_with(message, host, report)?;
        if answers == Answers::First && hosts.endpoints.len() != 1 {
            report.refuse_field("endpoints", "must hold one endpoint where type is LOGICAL_DNS");
        }
        Some(hosts)
    });
    Some(Dns {
        assignment: format!("{RESOLVED}{name}"),
        answers,
        family: family?,
        timing,
        hosts: hosts?,
    })
}

fn host(message: Option<core::Address>, report: &mut Report) -> Option<Host> {
    let (name, port) = value::host(message, report)?;
    let name = Arc::from(name);
    Some(Host { name, port })
}

fn failure_backoff(message: proto::RefreshRate, report: &mut Report) -> Option<FailureBackoff> {
    let proto::RefreshRate {
        base_interval,
        max_interval,
    } = message;
    if base_interval.is_none() {
        report.refuse_field("base_interval", "is missing");
        return None;
    }
    let first = interval("base_interval", base_interval, REFRESH, report);
    let most = interval("max_interval", max_interval, first.saturating_mul(LONGEST), report);
    if most < first {
        report.refuse_field("max_interval", "is less than base_interval");
    }
    Some(FailureBackoff { first, most })
}

fn interval(field: &str, message: Option<ProtoDuration>, default: Duration, report: &mut Report) -> Duration {
    let interval = value::positive(field, message, default, report);
    if interval < SHORTEST {
        report.refuse_field(field, "must be at least 1 ms");
    }
    interval
}

fn lookup_family(number: i32, report: &mut Report) -> Option<LookupFamily> {
    match proto::DnsLookupFamily::try_from(number) {
        Ok(proto::DnsLookupFamily::Auto) => Some(LookupFamily::V6Preferred),
        Ok(proto::DnsLookupFamily::V4Only) => Some(LookupFamily::V4Only),
        Ok(proto::DnsLookupFamily::V6Only) => Some(LookupFamily::V6Only),
        Ok(proto::DnsLookupFamily::V4Preferred) => Some(LookupFamily::V4Preferred),
        Ok(proto::DnsLookupFamily::All) => Some(LookupFamily::All),
        Err(_) => {
            report.refuse_field("dns_lookup_family", format!("{number} is not known"));
            None
        }
    }
}

fn check_resolution(message: Option<core::DnsResolutionConfig>, report: &mut Report) {
    let Some(message) = message else { return };
    report.within("dns_resolution_config", |report| {
        let core::DnsResolutionConfig {
            resolvers,
            dns_resolver_options,
        } = message;
        refuse_set!(report; resolvers);
        note_set!(report; dns_resolver_options);
    });
}

/// Accepts a resolver that asks whom the system's resolver asks.
fn check_resolver(message: Option<core::TypedExtensionConfig>, report: &mut Report) {
    let Some(message) = message else { return };
    report.within("typed_dns_resolver_config", |report| {
        let core::TypedExtensionConfig { name: _, typed_config } = message;
        let any = typed_config.unwrap_or_default();
        report.within("typed_config", |report| check_typed_resolver(&any, report));
    });
}

fn check_typed_resolver(any: &Any, report: &mut Report) {
    if any.type_url == CaresDnsResolverConfig::type_url() {
        let Some(message) = report.open(any) else { return };
        cares(message, report);
    } else if any.type_url == GetAddrInfoDnsResolverConfig::type_url() {
        let Some(message) = report.open(any) else { return };
        let GetAddrInfoDnsResolverConfig {
            num_retries,
            num_resolver_threads,
        } = message;
        note_set!(report; num_retries, num_resolver_threads);
    } else {
        report.refuse(format!("{:?} is not supported", any.type_url));
    }
}

/// The system's resolver is asked instead, which has all of this in its own configuration.
fn cares(message: CaresDnsResolverConfig, report: &mut Report) {
    let CaresDnsResolverConfig {
        resolvers,
        use_resolvers_as_fallback,
        filter_unroutable_families,
        dns_resolver_options,
        udp_max_queries,
        query_timeout_seconds,
        query_tries,
        rotate_nameservers,
        edns0_max_payload_size,
        max_udp_channel_duration,
        reinit_channel_on_timeout,
        qcache_max_ttl,
    } = message;
    refuse_set!(report; resolvers);
    note_set!(report; use_resolvers_as_fallback, filter_unroutable_families, dns_resolver_options, udp_max_queries);
    note_set!(report; query_timeout_seconds, query_tries, rotate_nameservers, edns0_max_payload_size);
    note_set!(report; max_udp_channel_duration, reinit_channel_on_timeout, qcache_max_ttl);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::endpoint::HealthStatus;
    use crate::resource::endpoint::Policy;
    use std::num::NonZeroU32;

    fn ips(text: &str) -> Vec<IpAddr> {
        text.split_whitespace().map(|ip| ip.parse().unwrap()).collect()
    }

    fn dns(answers: Answers, names: &[&str]) -> Dns {
        let host = |name: &&str| Endpoint {
            address: Host {
                name: Arc::from(*name),
                port: 80,
            },
            weight: NonZeroU32::new(3).unwrap(),
            health: HealthStatus::Healthy,
            place: Arc::default(),
        };
        Dns {
            assignment: "dns|web".to_owned(),
            answers,
            family: LookupFamily::All,
            timing: Timing {
                refresh: REFRESH,
                jitter: Duration::ZERO,
                failure: None,
            },
            hosts: ClusterLoadAssignment {
                cluster: "web".to_owned(),
                endpoints: names.iter().map(host).collect(),
                policy: Policy::default(),
            },
        }
    }

    #[test]
    fn every_address_of_every_name_is_an_endpoint_once() {
        let answers = [ips("10.0.0.1 fd00::1"), ips("10.0.0.1 10.0.0.2")];
        let resolved = dns(Answers::Every, &["one", "two"]).resolved(answers.iter().map(Vec::as_slice));
        let found: Vec<_> = resolved.endpoints.iter().map(|one| one.address.to_string()).collect();
        assert_eq!(found, ["10.0.0.1:80", "[fd00::1]:80", "10.0.0.2:80"]);
        assert!(resolved.endpoints.iter().all(|one| one.weight.get() == 3));
        assert_eq!(resolved.cluster, "dns|web");
    }

    #[test]
    fn of_a_logical_name_the_first_address_is_the_endpoint() {
        let answers = [ips("10.0.0.2 10.0.0.1")];
        let resolved = dns(Answers::First, &["one"]).resolved(answers.iter().map(Vec::as_slice));
        let found: Vec<_> = resolved.endpoints.iter().map(|one| one.address.to_string()).collect();
        assert_eq!(found, ["10.0.0.2:80"]);
    }

    #[test]
    fn families_are_chosen_as_in_envoy() {
        let (both, four, six) = ("10.0.0.1 fd00::1", "10.0.0.1", "fd00::1");
        for (family, of_both, of_four, of_six) in [
            (LookupFamily::All, both, four, six),
            (LookupFamily::V6Preferred, six, four, six),
            (LookupFamily::V4Preferred, four, four, six),
            (LookupFamily::V4Only, four, four, ""),
            (LookupFamily::V6Only, six, "", six),
        ] {
            assert_eq!(family.choose(ips(both)), ips(of_both), "{family:?}");
            assert_eq!(family.choose(ips(four)), ips(of_four), "{family:?}");
            assert_eq!(family.choose(ips(six)), ips(of_six), "{family:?}");
        }
    }
}
