//! SIGINT and SIGTERM end the demo in good order: the story stops at its next step, and what it made is removed as it
//! unwinds. A second signal ends it at once; the kernel ends its children, and the next run sweeps the rest.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use anyhow::Result;
use anyhow::ensure;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use crate::report;

/// What a shell reports for a program that SIGINT ended.
const INTERRUPTED: i32 = 130;

static ASKED: AtomicBool = AtomicBool::new(false);

/// Takes the signals over, from now on.
pub(crate) fn take_over() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut int, mut term) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::spawn(move || {
        runtime.block_on(either(&mut int, &mut term));
        report::note("demo: interrupted, cleaning up");
        ASKED.store(true, Ordering::SeqCst);
        runtime.block_on(either(&mut int, &mut term));
        std::process::exit(INTERRUPTED);
    });
    Ok(())
}

/// An error once a signal has come; the story asks before each step.
pub(crate) fn check() -> Result<()> {
    ensure!(!ASKED.load(Ordering::SeqCst), "interrupted");
    Ok(())
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
