//! Peers that abuse the proxy on purpose. Three things are asked of it each time: another client stays served meanwhile, what
//! it holds in memory stays below a bound that the test states, and it is well afterwards.
//!
//! The families take turns from test to test, and of each kind one test has both: what abuse does to a proxy does not depend on the
//! address it comes from, and a story of seconds is not told twice for nothing.
//!
//! ```text
//!  floods       one client that sends HTTP/2 frames without end
//!  readers      clients that ask for much and read nothing
//!  connections  clients that are too many
//!  crowds       clients that are many and take what they may
//!  upstreams    servers that answer nonsense without end
//!  world        the pods, the witness, the bound
//!  frames       HTTP/2 frames by hand: the `h2` crate does not misbehave
//!  bulk         a server with long answers
//! ```

mod bulk;
mod connections;
mod crowds;
mod floods;
mod frames;
mod readers;
mod upstreams;
mod world;
