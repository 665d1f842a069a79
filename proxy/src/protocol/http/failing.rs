//! What an error of the `h2` crate means for a request.

use crate::failure::Reason;
use crate::upstream::Http2;

/// Names an upstream's failure before it answered, and retires a connection that takes no more streams.
pub(super) fn classify(error: &h2::Error, up: &Http2) -> Reason {
    if error.is_go_away() || error.is_io() || !error.is_reset() {
        up.retire();
    }
    match error.reason() {
        _ if up.is_flooded() => Reason::UpstreamFlood,
        // RFC 9113 8.7: these were not acted on. A stream that GOAWAY names as unprocessed fails with the GOAWAY itself.
        Some(h2::Reason::REFUSED_STREAM) => Reason::StreamRefused,
        _ if error.is_go_away() && error.is_remote() => Reason::StreamRefused,
        _ if error.is_io() => Reason::UpstreamClosed,
        Some(_) if error.is_reset() && error.is_remote() => Reason::UpstreamReset,
        // Ours: the peer broke the protocol.
        Some(_) if error.is_reset() || error.is_go_away() => Reason::MalformedResponse,
        _ => Reason::UpstreamClosed,
    }
}
