//! What `evenkeel-init` does to the rules of a pod, to its traffic, and to the rules of others.

mod convergence;
mod faults;
mod setting;
mod traffic;
mod verification;
