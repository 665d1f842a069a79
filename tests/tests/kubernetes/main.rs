//! From a Kubernetes API server to requests.

mod kubelet;
mod server;
