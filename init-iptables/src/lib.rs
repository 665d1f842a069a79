//! `evenkeel-init`: puts a pod's TCP traffic into the hands of the proxy, proves that it is so, and takes it back.
//!
//! From the command line down to the kernel; a module imports only from those below it:
//!
//! ```text
//! command                     install · verify · cleanup · print, chosen by `options::Cli`
//! verify · install · cleanup  the three that look at or change the kernel's rules
//! probe · select              one redirected connection | which backend
//! backend · lock · address    iptables-save and iptables-restore | one of us at a time | the pod's addresses
//! fault                       everything that can go wrong, in words
//! document · saved · options  the text for iptables-restore | the text of iptables-save | flags -> a checked plan (all pure)
//! rules                       plan -> our chains and the jumps to them (pure)
//! plan                        what is redirected and what is left alone
//! cidr · ports · family · console
//! ```

pub mod address;
pub mod backend;
pub mod cidr;
pub mod cleanup;
pub mod command;
pub mod console;
pub mod document;
pub mod family;
pub mod fault;
pub mod install;
pub mod lock;
pub mod options;
pub mod plan;
pub mod ports;
pub mod probe;
pub mod rules;
pub mod saved;
pub mod select;
pub mod verify;
