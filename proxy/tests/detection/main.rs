//! Detection in full: every captured prologue, however it is split and however late, against every kind of server.

mod client;
mod held_preface;
mod learnt;
mod matrix;
mod patience;
mod prologues;
mod road;
mod server;

#[path = "../support/mod.rs"]
#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "it serves another test target, too; its helpers fail by panicking"
)]
mod support;
