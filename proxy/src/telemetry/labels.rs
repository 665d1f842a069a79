//! The closed lists that labels take their values from.

/// Which way a connection goes through the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// To the application beside us.
    Inbound,
    /// From the application beside us.
    Outbound,
}

impl Direction {
    pub(super) const ALL: [Self; 2] = [Self::Inbound, Self::Outbound];

    /// The value of the `direction` label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// What a request was spoken in, as its client spoke it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2 other than gRPC.
    Http2,
    /// HTTP/2 with a content type of gRPC.
    Grpc,
}

impl Protocol {
    pub(super) const ALL: [Self; 3] = [Self::Http1, Self::Http2, Self::Grpc];

    /// The value of the `protocol` label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::Grpc => "grpc",
        }
    }
}

/// The version of HTTP that a pooled connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// One request at a time.
    Http1,
    /// Many at once.
    Http2,
}

impl Version {
    pub(super) const ALL: [Self; 2] = [Self::Http1, Self::Http2];

    /// The value of the `protocol` label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Http2 => "http2",
        }
    }
}

/// How the protocol of a connection became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The client spoke HTTP/1.
    Http1,
    /// The client sent the preface of HTTP/2.
    Http2,
    /// The client sent a TLS hello.
    Tls,
    /// The server spoke first.
    ServerFirst,
    /// The client's bytes are of no protocol that we know.
    Opaque,
    /// The configuration said it, and the bytes agree.
    Declared,
    /// The configuration said it, and the bytes contradict.
    Mismatch,
    /// The connection ended before anybody spoke.
    Silent,
}

impl Verdict {
    pub(super) const ALL: [Self; 8] = [
        Self::Http1,
        Self::Http2,
        Self::Tls,
        Self::ServerFirst,
        Self::Opaque,
        Self::Declared,
        Self::Mismatch,
        Self::Silent,
    ];

    /// The value of the `result` label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::Tls => "tls",
            Self::ServerFirst => "server_first",
            Self::Opaque => "opaque",
            Self::Declared => "declared",
            Self::Mismatch => "mismatch",
            Self::Silent => "silent",
        }
    }
}

/// What became of an upstream connection that was dialled before the protocol was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Speculation {
    /// It was dialled.
    Opened,
    /// It was used: by the relay, or by the pool.
    Adopted,
    /// It was closed unused.
    Discarded,
}

impl Speculation {
    pub(super) const ALL: [Self; 3] = [Self::Opened, Self::Adopted, Self::Discarded];

    /// The value of the `result` label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Adopted => "adopted",
            Self::Discarded => "discarded",
        }
    }
}

/// Why a connection that waited in a pool was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Eviction {
    /// Nobody wanted it for as long as it may wait.
    IdleTimeout,
    /// As many are kept as may be.
    Surplus,
    /// The endpoint closed it, or said something unasked.
    EndpointClosed,
    /// Its endpoint has left the configuration.
    EndpointGone,
}

impl Eviction {
    pub(super) const ALL: [Self; 4] = [
        Self::IdleTimeout,
        Self::Surplus,
        Self::EndpointClosed,
        Self::EndpointGone,
    ];

    /// The value of the `reason` label.
    pub fn label(self) -> &'static str {
        match self {
            Self::IdleTimeout => "idle_timeout",
            Self::Surplus => "surplus",
            Self::EndpointClosed => "endpoint_closed",
            Self::EndpointGone => "endpoint_gone",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_in_the_order_of_their_discriminants() {
        assert!(
            Direction::ALL
                .iter()
                .enumerate()
                .all(|(index, value)| *value as usize == index)
        );
        assert!(
            Protocol::ALL
                .iter()
                .enumerate()
                .all(|(index, value)| *value as usize == index)
        );
        assert!(
            Version::ALL
                .iter()
                .enumerate()
                .all(|(index, value)| *value as usize == index)
        );
        assert!(
            Verdict::ALL
                .iter()
                .enumerate()
                .all(|(index, value)| *value as usize == index)
        );
        assert!(
            Eviction::ALL
                .iter()
                .enumerate()
                .all(|(index, value)| *value as usize == index)
        );
        assert!(
            Speculation::ALL
                .iter()
                .enumerate()
                .all(|(index, value)| *value as usize == index)
        );
    }
}
