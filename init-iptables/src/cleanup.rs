//! Removes every rule of ours and nothing else.

use crate::backend::Backend;
use crate::console::Console;
use crate::document;
use crate::family::Family;
use crate::fault::Fault;
use crate::lock::Lock;
use crate::options::BackendChoice;
use crate::options::KernelFlags;

/// Removes our rules of both families from the backend asked for; `auto` is all backends that are installed.
pub fn cleanup(kernel: KernelFlags, console: &mut Console<'_>) -> Result<(), Fault> {
    let _lock = Lock::take(kernel.lock_wait.get())?;
    each_table(kernel.backend, |backend, family| {
        if remove(backend, family)? {
            console.say(&format!("{family}: the redirection is removed ({backend})"));
        } else {
            console.say(&format!("{family}: no rules of ours ({backend})"));
        }
        Ok(())
    })
}

/// Prints the documents that [`cleanup`] would use here and now.
pub fn dry_run(kernel: KernelFlags, console: &mut Console<'_>) -> Result<(), Fault> {
    let _lock = Lock::take(kernel.lock_wait.get())?;
    each_table(kernel.backend, |backend, family| {
        let found = backend.rules(family)?;
        if found.is_empty() {
            console.print(&format!("# {family}, {backend}: nothing to change\n"));
        } else {
            console.print(&format!("# {family}, {backend}\n{}", document::cleanup(&found)));
        }
        Ok(())
    })
}

/// Removes our rules from a backend that is not the one in use; what prevents it is a warning.
pub fn remove_leftovers(backend: Backend, console: &mut Console<'_>) {
    for family in Family::IN_ORDER {
        match remove(backend, family) {
            Ok(true) => console.say(&format!("{family}: our former rules are removed ({backend})")),
            Ok(false) => (),
            Err(fault) if is_absent(backend, &fault) => (),
            Err(fault) => console.warn(&format!(
                "there may be former {family} rules of ours ({backend}): {fault}"
            )),
        }
    }
}

/// Whether there was anything to remove.
fn remove(backend: Backend, family: Family) -> Result<bool, Fault> {
    let found = backend.rules(family)?;
    if found.is_empty() {
        return Ok(false);
    }
    backend.restore(family, &document::cleanup(&found))?;
    Ok(true)
}

/// Visits every table even when one fails, and then fails with the first fault.
fn each_table(choice: BackendChoice, mut visit: impl FnMut(Backend, Family) -> Result<(), Fault>) -> Result<(), Fault> {
    let backends: &[Backend] = match choice {
        BackendChoice::Nft => &[Backend::Nft],
        BackendChoice::Legacy => &[Backend::Legacy],
        BackendChoice::Auto => &Backend::IN_ORDER,
    };
    let mut outcome = Ok(());
    let mut absent = None;
    let mut visited = false;
    for (backend, family) in backends
        .iter()
        .flat_map(|backend| Family::IN_ORDER.map(|family| (*backend, family)))
    {
        match visit(backend, family) {
            Err(fault) if choice == BackendChoice::Auto && is_absent(backend, &fault) => absent = Some(fault),
            other => {
                visited = true;
                outcome = outcome.and(other);
            }
        }
    }
    match absent {
        Some(fault) if !visited => Err(fault),
        _ => outcome,
    }
}

/// Whether a backend is not installed, so that our rules are not there either. Of the legacy backend this is not so:
/// its programs are only looked for when the kernel says that there is a table.
fn is_absent(backend: Backend, fault: &Fault) -> bool {
    backend == Backend::Nft && matches!(fault, Fault::ProgramMissing { .. })
}
