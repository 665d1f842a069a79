//! From a Kubernetes API server to requests.

mod asker;
mod away;
mod following;
mod injection;
mod kubelet;
mod leading;
mod malformed;
mod routes;
mod server;
mod slices;
mod status;
mod world;
