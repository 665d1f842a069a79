//! The webhook: what the API server asks about new pods, over HTTPS, and what it is answered.
//!
//! ```text
//! server     connections, TLS that changes while it runs, bounds
//! answer     a request's body in, an answer out
//! review     AdmissionReview, as it is written
//! settings   the watched file
//! counts     for metrics
//! ```

mod answer;
mod counts;
mod review;
mod server;
mod settings;

use crate::inject::Cluster;
use crate::inject::settings::Settings;
pub use counts::Counts;
pub use server::serve;
pub use settings::SettingsFile;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use tokio::sync::watch;

/// By which rule of its configuration an API server asks: each has a path of its own. What a rule selects is known better to
/// who asks than to us, who may not have seen the latest label of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Because of the namespace's label.
    Namespace,
    /// Because of the pod's.
    Pod,
}

impl Rule {
    /// All.
    pub const ALL: [Self; 2] = [Self::Namespace, Self::Pod];

    /// Where it asks.
    pub fn path(self) -> &'static str {
        match self {
            Self::Namespace => "/inject",
            Self::Pod => "/inject/pod",
        }
    }
}

/// The labels of a namespace; `None` where they are not known yet.
pub type Namespaces = Box<dyn Fn(&str) -> Option<BTreeMap<String, String>> + Send + Sync>;

/// What the answers depend on. All of it may change while the server runs.
pub struct Webhook {
    /// The settings in force.
    pub settings: watch::Receiver<Arc<Settings>>,
    /// What is known of the cluster, and who signs the control plane's certificate.
    pub cluster: watch::Receiver<Arc<Cluster>>,
    /// Asked for the namespace of each pod, which may enforce what a pod with a proxy does not satisfy.
    pub namespaces: Namespaces,
    /// How the requests went.
    pub counts: Arc<Counts>,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("settings", &self.settings)
            .field("cluster", &self.cluster)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}
