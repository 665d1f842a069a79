//! The proxy under a control plane that nobody here wrote: on types of the package `xds-protos` and the gRPC of `grpcio`.

mod away;
mod breakages;
mod changes;
mod clients;
mod closed;
mod flight;
mod half;
mod many;
mod serving;
mod size;
mod startup;
mod storm;
mod world;
