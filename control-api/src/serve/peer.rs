//! Whom a stream is from, and why it is not served.

use std::fmt;
use tonic::Status;

/// Whom a stream is from, as its credentials say: a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where the pod is.
    pub namespace: String,
    /// What it is called there.
    pub pod: String,
    /// Which of all that were ever called so.
    pub uid: String,
    /// What it runs as, in its namespace.
    pub service_account: String,
}

/// Why a stream is not served: for its client, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// There are no credentials.
    Missing(String),
    /// They are not good.
    Invalid(String),
    /// They are good, and not for this.
    Forbidden(String),
    /// Whether they are good cannot be told now.
    Unavailable(String),
}

/// Why a client was not served: what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The handshake of TLS failed, took too long, or made room for others.
    Handshake,
    /// The connection had no stream with good credentials in time, or made room for others.
    Stranger,
    /// [`Denied::Missing`].
    Missing,
    /// [`Denied::Invalid`].
    Invalid,
    /// [`Denied::Forbidden`].
    Forbidden,
    /// [`Denied::Unavailable`].
    Unavailable,
}

impl Peer {
    /// The only id that a node of this peer may have: `POD.NAMESPACE`. There is no dot in the name of a namespace.
    pub fn node_id(&self) -> String {
        format!("{}.{}", self.pod, self.namespace)
    }
}

impl Denied {
    /// What is counted.
    pub fn denial(&self) -> Denial {
        match self {
            Self::Missing(_) => Denial::Missing,
            Self::Invalid(_) => Denial::Invalid,
            Self::Forbidden(_) => Denial::Forbidden,
            Self::Unavailable(_) => Denial::Unavailable,
        }
    }
}

impl From<Denied> for Status {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Missing(reason) | Denied::Invalid(reason) => Self::unauthenticated(reason),
            Denied::Forbidden(reason) => Self::permission_denied(reason),
            Denied::Unavailable(reason) => Self::unavailable(reason),
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Missing(reason) | Self::Invalid(reason) | Self::Forbidden(reason) | Self::Unavailable(reason)) =
            self;
        f.write_str(reason)
    }
}

impl Denial {
    /// All, in the order of the counters of [`Status::denials`](super::Status::denials).
    pub const ALL: [Self; 6] = [
        Self::Handshake,
        Self::Stranger,
        Self::Missing,
        Self::Invalid,
        Self::Forbidden,
        Self::Unavailable,
    ];
}

/// As metrics name it.
impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake => "handshake",
            Self::Stranger => "stranger",
            Self::Missing => "missing",
            Self::Invalid => "invalid",
            Self::Forbidden => "forbidden",
            Self::Unavailable => "unavailable",
        })
    }
}
