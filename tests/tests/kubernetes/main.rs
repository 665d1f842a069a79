//! From a Kubernetes API server to requests.

mod addresses;
mod asker;
mod away;
mod following;
mod injection;
mod installed;
mod kinds;
mod kubelet;
mod leading;
mod malformed;
mod pods;
mod rights;
mod rotation;
mod routes;
mod server;
mod slices;
mod status;
mod traffic;
mod world;
