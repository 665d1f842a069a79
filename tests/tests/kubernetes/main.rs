//! From a Kubernetes API server to requests.

mod server;
