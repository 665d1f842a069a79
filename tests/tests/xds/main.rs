//! The proxy under a control plane that nobody here wrote: on types of the package `xds-protos` and the gRPC of `grpcio`.

mod away;
mod breakages;
mod changes;
mod clients;
mod half;
mod serving;
mod startup;
mod storm;
mod world;
