//! What is spoken on a connection: found out from whoever speaks first, without a timeout and without delay.
//!
//! ```text
//! sniff   bytes -> verdict, pure            learn   when to speculate, per destination
//! race    client's bytes against an upstream connection that was opened ahead
//! ```

mod learn;
mod race;
pub mod sniff;

pub use learn::Learnt;
pub use race::{Detected, Refused, detect};
