//! What is known of one resource.

use crate::ads::intake::Fingerprint;
use crate::ads::message::Text;
use crate::fault::Faults;
use crate::fault::Note;
use crate::resource::Resource;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::time::Instant;

/// What became of a subscription to one resource. The names are those of gRPC and of `ClientResourceStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Asked for, or about to be.
    Requested,
    /// The version that came last is in use.
    Acked,
    /// The version that came last was refused.
    Nacked,
    /// The server says that there is none.
    DoesNotExist,
    /// The server did not say anything in time.
    Timeout,
}

/// Why a version was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The version that was refused.
    pub version: String,
    /// The `server_uri` of who sent it.
    pub source: Arc<str>,
    /// When.
    pub when: Instant,
    /// Everything that is wrong with it.
    pub faults: Faults,
    /// Where a listener would have been found.
    pub(crate) addresses: Vec<SocketAddr>,
}

/// One resource as the control plane left it.
#[derive(Clone, Debug)]
pub struct Entry {
    pub(crate) state: State,
    pub(crate) since: Instant,
    pub(crate) version: Text,
    pub(crate) source: Text,
    pub(crate) resource: Option<Resource>,
    pub(crate) notes: Vec<Note>,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) fingerprint: Option<Fingerprint>,
    /// Until when the server may take to answer.
    pub(crate) answer_due: Option<Instant>,
    /// Until when the resource holds.
    pub(crate) expires: Option<Instant>,
}

impl Entry {
    /// A resource that was asked for.
    pub(in crate::ads) fn requested(now: Instant) -> Self {
        Self {
            state: State::Requested,
            since: now,
            version: Text::default(),
            source: Text::default(),
            resource: None,
            notes: Vec::new(),
            refusal: None,
            fingerprint: None,
            answer_due: None,
            expires: None,
        }
    }

    /// Whether the server has said something of it that holds until it says something else.
    pub(in crate::ads) fn is_lasting(&self) -> bool {
        matches!(self.state, State::Acked | State::Nacked) && self.expires.is_none()
    }

    /// What became of it.
    pub fn state(&self) -> State {
        self.state
    }

    /// When it came to this state, or was last updated in it.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Of the last good version; empty: there is none.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The `server_uri` of who sent the last good version; empty: there is none.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The last good version; `None`: there has been none, or it was removed.
    pub fn resource(&self) -> Option<&Resource> {
        self.resource.as_ref()
    }

    /// What the last good version says without effect.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Why the version that came last was refused; `None`: it was not.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// When it expires, unless it is repeated.
    pub fn expires(&self) -> Option<Instant> {
        self.expires
    }
}

impl State {
    /// The label in metrics and on pages, such as `acked`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Acked => "acked",
            Self::Nacked => "nacked",
            Self::DoesNotExist => "does_not_exist",
            Self::Timeout => "timeout",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}
