//! How the connections to one destination are handled: detected or declared, balanced by request or by connection.

use super::chains::Chains;
use super::select::Seen;
use crate::balance::Dice;
use crate::route::Table;
use evenkeel_control_api::defaults;
use evenkeel_control_api::resource::HashKey;
use evenkeel_control_api::resource::listener::{Direction, ForwardedFor, Http2Options};
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

/// How the connections to one destination are handled.
#[derive(Debug, PartialEq)]
pub struct Handling {
    /// The service in metrics and logs, such as `web.shop.svc.cluster.local:80`.
    pub service: Arc<str>,
    /// Which side of the application.
    pub direction: Direction,
    /// How it becomes known what is spoken.
    pub detection: Detection,
    /// For HTTP; `None`: nothing here is treated as HTTP.
    pub http: Option<Arc<HttpHandling>>,
    /// For everything else; `None`: what is not HTTP is reset.
    pub tcp: Option<TcpHandling>,
    /// Where more than this depends on what a connection begins with.
    pub(super) chains: Option<Arc<Chains>>,
}

impl Handling {
    /// Outbound to the cluster at `cluster`, whatever is spoken, with every limit at its default.
    pub(super) fn detected(service: Arc<str>, cluster: usize) -> Self {
        let http = HttpHandling {
            versions: Versions::Both,
            routes: Table::to(cluster),
            max_header_bytes: defaults::HEADER_BYTES,
            max_header_fields: defaults::HEADER_FIELDS,
            max_requests: None,
            head_timeout: Some(defaults::HEAD_TIMEOUT),
            idle_timeout: Some(defaults::DOWNSTREAM_IDLE),
            http2: defaults::HTTP2,
            forwarded_for: ForwardedFor::Off,
        };
        let tcp = TcpHandling {
            clusters: Split::new(cluster, []),
            idle_timeout: None,
            hash: None,
        };
        let direction = Direction::Outbound;
        Self {
            service,
            direction,
            detection: Detection::Race,
            http: Some(Arc::new(http)),
            tcp: Some(tcp),
            chains: None,
        }
    }

    /// What is done with a connection of which this was seen; `None`: it is refused.
    pub fn narrowed(self: &Arc<Self>, seen: &Seen) -> Option<Arc<Self>> {
        match &self.chains {
            None => Some(Arc::clone(self)),
            Some(chains) => chains.narrowed(seen),
        }
    }

    /// Whether what a connection begins with decides more than between HTTP and bytes.
    pub fn narrows(&self) -> bool {
        self.chains.is_some()
    }

    /// The places of every cluster that connections of this handling can reach.
    pub fn clusters(&self) -> Vec<usize> {
        let routes = self.http.iter().flat_map(|http| http.routes.clusters());
        routes
            .chain(self.tcp.iter().flat_map(|tcp| tcp.clusters.places()))
            .collect()
    }
}

/// How it becomes known what is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detection {
    /// From the first bytes of whoever speaks first.
    Race,
    /// HTTP was declared; the bytes only say which version.
    Http,
    /// TLS was declared: the client speaks first, and its hello names the server.
    Tls,
    /// Opaque was declared: connect at once, look at nothing.
    Opaque,
}

/// What the connection manager needs.
#[derive(Debug, PartialEq)]
pub struct HttpHandling {
    /// Which versions clients may speak.
    pub versions: Versions,
    /// What becomes of a request.
    pub routes: Table,
    /// Bytes of a head.
    pub max_header_bytes: usize,
    /// Fields of a head.
    pub max_header_fields: usize,
    /// After so many requests a client is asked to open another connection.
    pub max_requests: Option<NonZeroU32>,
    /// From the first byte of a head to its last.
    pub head_timeout: Option<Duration>,
    /// Of a connection without a request.
    pub idle_timeout: Option<Duration>,
    /// Towards clients.
    pub http2: Http2Options,
    /// `X-Forwarded-For`.
    pub forwarded_for: ForwardedFor,
}

/// Which HTTP versions clients may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    /// Either.
    Both,
    /// HTTP/1 only.
    Http1,
    /// HTTP/2 only.
    Http2,
}

/// What the TCP proxy needs.
#[derive(Clone, Debug, PartialEq)]
pub struct TcpHandling {
    /// Where connections go.
    pub clusters: Split,
    /// Close after this long without a byte.
    pub idle_timeout: Option<Duration>,
    /// What connections have in common that are to get the same endpoint, of a cluster that hashes.
    pub hash: Option<HashKey>,
}

/// Places of clusters, of which each connection takes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    first: usize,
    /// All of them with the sum of their weights and those before; empty where there is one.
    sums: Vec<(u64, usize)>,
}

impl Split {
    /// `first` alone, or those of `weighted` by their weights.
    pub fn new(first: usize, weighted: impl IntoIterator<Item = (usize, NonZeroU32)>) -> Self {
        let sums = weighted.into_iter().scan(0, |sum, (place, weight)| {
            *sum += u64::from(weight.get());
            Some((*sum, place))
        });
        let mut sums: Vec<_> = sums.collect();
        if sums.len() < 2 {
            sums.clear();
        }
        Self { first, sums }
    }

    /// The place for a new connection.
    pub fn pick(&self, dice: &mut Dice) -> usize {
        let Some(total) = self.sums.last().and_then(|(sum, _)| NonZeroU64::new(*sum)) else {
            return self.first;
        };
        let drawn = dice.below(total);
        let place = self.sums.partition_point(|(sum, _)| *sum <= drawn);
        self.sums.get(place).map_or(self.first, |(_, place)| *place)
    }

    /// Every place.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        let others = self
            .sums
            .iter()
            .map(|(_, place)| *place)
            .filter(|place| *place != self.first);
        std::iter::once(self.first).chain(others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_split_by_weight() {
        let weight = |weight| NonZeroU32::new(weight).unwrap();
        let split = Split::new(4, [(4, weight(1)), (7, weight(3))]);
        let mut dice = Dice::seeded(1);
        let picked = (0..4_000).filter(|_| split.pick(&mut dice) == 7).count();
        assert!((2_900..3_100).contains(&picked), "{picked}");
        assert_eq!(split.places().collect::<Vec<_>>(), [4, 7]);
    }

    #[test]
    fn one_cluster_asks_no_die() {
        let split = Split::new(2, []);
        let mut dice = Dice::seeded(1);
        assert_eq!(split.pick(&mut dice), 2);
        assert_eq!(dice.below(NonZeroU64::MAX), Dice::seeded(1).below(NonZeroU64::MAX));
    }
}
