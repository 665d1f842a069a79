//! A Kubernetes API server in the test's own process, which a test scripts: it stores what it is given as JSON and speaks the
//! real protocol of lists and watches, so that whoever uses it uses a real client. It validates nothing, so that a test can
//! store what a cluster might get from a version of tomorrow.
//!
//! ```text
//!  control    `evenkeel-control run` in a pod, as the chart has it                    chart, api
//!  chart      what of the chart is stored in a cluster, and its pods                  api
//!  api        the handle: put, remove, look; and what goes wrong on purpose      server
//!  admission  a pod on its way in, past the webhooks that want to see it             selector
//!  server     HTTP/1.1 in a pod's namespace: it listens, dies and returns        answer
//!  answer     one request: where it leads, and what is answered                  path, list, watch, write, review, discovery
//!  watch      a stream of events that follows the log                            store, selector
//!  list       lists, in pages                                                    store, selector
//!  write      create, update, patch, delete; conflicts                           store, patch
//!  world      everything that the server knows, behind one lock                  store, fault
//!  store      objects by key, and the log of their changes, until compacted      kind
//!  object     Services, slices, Pods and the like, as JSON
//! ```

pub mod admission;
mod answer;
mod api;
pub mod chart;
pub mod control;
mod discovery;
mod fault;
mod kind;
mod list;
pub mod object;
mod patch;
mod path;
mod review;
mod selector;
mod server;
mod status;
mod store;
mod watch;
mod world;
mod write;

pub use api::ApiServer;
pub use api::Installed;
pub use kind::Kind;
pub use world::Request;
