//! Pods as network namespaces, for tests, for the demo and for whoever wants to look at a mesh on one machine.
//!
//! ```text
//!  cluster    a node that routes between pods and translates VIPs as kube-proxy does      service, vip
//!  replica    the `replica` program in a pod, and what it says it served                  counts
//!  mesh       evenkeel-init and evenkeel-proxy in a pod                                   document, metrics
//!  control    evenkeel-control in a pod                                                   document, metrics
//!  xds        a scripted control plane that nobody here wrote                             xds/*
//!  kubelet    the containers of a Kubernetes Pod, in a pod                             kubernetes, process
//!  kubernetes an API server that a test scripts                                       kubernetes/*
//!  clients    ab, h2load, curl and the `client` program in a pod                          answers
//!  browser    Chromium without a screen, in a pod
//!  forward    an application between two others
//!  passing    one that passes the headers of traces on
//!  collector  where spans go, over OTLP
//!  load       requests at a steady rate, for what must not fail meanwhile                 answers
//!  script     a server that misbehaves on purpose
//!  soak       every kind of traffic at once, for minutes                                  usage
//!  helm       the chart, rendered by the real helm; no cluster, no pod
//!  rbac       what the chart lets the control plane do                      kubernetes
//!  image      the images of the Dockerfile, run as the kubelet would        namespace
//!  identity   a certificate for a server of the tests
//!  pod        a namespace with an address of each family
//!  namespace  a network namespace; commands and closures inside it                        process
//!  binaries   where the workspace's programs lie
//!  wait       until something is so, or a deadline
//!  again      a measurement that a busy machine disturbs
//! ```
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use evenkeel_tests::clients;
//! use evenkeel_tests::cluster::{Cluster, Family};
//! use evenkeel_tests::document::Document;
//! use evenkeel_tests::service::{Port, Service};
//!
//! let cluster = Cluster::new()?;
//! let replicas = cluster.replicas(3)?;
//! let client = cluster.pod("client")?;
//! let web = Service::new("web", Family::V4.vip(10)).with(Port::http(80, &replicas, Family::V4));
//! cluster.expose(&web)?; // what every cluster has
//! let _mesh = client.mesh(&Document::of(&[&web]))?; // what this project adds
//! clients::ab(&client, web.at(80), 300)?;
//! # Ok(())
//! # }
//! ```

pub mod again;
pub mod answers;
pub mod binaries;
pub mod browser;
pub mod catalogue;
pub mod clients;
pub mod cluster;
pub mod collector;
pub mod control;
pub mod counts;
pub mod document;
pub mod forward;
pub mod grpc;
pub mod helm;
pub mod http;
pub mod http2;
pub mod identity;
pub mod image;
pub mod kubelet;
pub mod kubernetes;
pub mod load;
pub mod mesh;
pub mod metrics;
pub mod namespace;
pub mod passing;
pub mod pod;
pub mod process;
pub mod prometheus;
pub mod pushed;
pub mod rbac;
pub mod replica;
pub mod script;
pub mod service;
pub mod soak;
pub mod usage;
mod vip;
pub mod wait;
pub mod xds;
