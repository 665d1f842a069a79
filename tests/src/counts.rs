//! What a replica served, counted by the replica itself: the judge of every statement about balancing.

use std::ops::Sub;

use serde::Deserialize;
use serde::Serialize;

/// Served so far, by protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// HTTP/1 requests, upgrades not among them.
    pub http1: u64,
    /// HTTP/2 requests, gRPC calls not among them.
    pub http2: u64,
    /// gRPC calls of any kind.
    pub grpc: u64,
    /// WebSocket connections.
    pub websocket: u64,
    /// Connections to the server-first port.
    pub banner: u64,
    /// Connections accepted on the HTTP port, whatever was spoken on them.
    pub connections: u64,
}

// === impl Counts ===

impl Sub for Counts {
    type Output = Self;

    /// What was served between two readings.
    fn sub(self, earlier: Self) -> Self {
        Self {
            http1: self.http1 - earlier.http1,
            http2: self.http2 - earlier.http2,
            grpc: self.grpc - earlier.grpc,
            websocket: self.websocket - earlier.websocket,
            banner: self.banner - earlier.banner,
            connections: self.connections - earlier.connections,
        }
    }
}

/// Each count as a share of the whole, 0 to 1; all 0 when nothing was served.
pub fn shares(counts: &[u64]) -> Vec<f64> {
    let whole = counts.iter().sum::<u64>().max(1);
    counts.iter().map(|&count| count as f64 / whole as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_one() {
        assert_eq!(shares(&[1, 3, 4]), [0.125, 0.375, 0.5]);
    }

    #[test]
    fn nothing_served_is_no_share_for_anyone() {
        assert_eq!(shares(&[0, 0]), [0.0, 0.0]);
    }
}
