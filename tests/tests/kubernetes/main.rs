//! From a Kubernetes API server to requests.

mod asker;
mod away;
mod following;
mod kubelet;
mod server;
mod slices;
mod world;
