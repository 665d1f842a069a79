//! Puts the rules of a plan in place, whatever rules of ours are there.

use crate::address;
use crate::backend::Backend;
use crate::cleanup;
use crate::console::Console;
use crate::document;
use crate::family::Family;
use crate::fault::Fault;
use crate::lock::Lock;
use crate::options::KernelFlags;
use crate::plan::Plan;
use crate::rules::Rules;
use crate::saved;
use crate::select;

/// Makes the kernel's rules those of `plan`: one transaction for each family, none where nothing has to change.
pub fn install(plan: &Plan, kernel: KernelFlags, console: &mut Console<'_>) -> Result<(), Fault> {
    let _lock = Lock::take(kernel.lock_wait.get())?;
    let backend = select::for_install(kernel.backend)?;
    each_family(plan, console, |family, console| {
        install_family(plan, backend, family, console)
    })?;
    // Only now: until here the old rules, wherever they were, were better than none.
    for other in Backend::IN_ORDER.into_iter().filter(|other| *other != backend) {
        cleanup::remove_leftovers(other, console);
    }
    Ok(())
}

/// Prints the documents that [`install`] would use here and now.
pub fn dry_run(plan: &Plan, kernel: KernelFlags, console: &mut Console<'_>) -> Result<(), Fault> {
    let _lock = Lock::take(kernel.lock_wait.get())?;
    let backend = select::for_reading(kernel.backend)?;
    each_family(plan, console, |family, console| {
        match document_for(plan, backend, family)? {
            Some(document) => console.print(&format!("# {family}, {backend}\n{document}")),
            None => console.print(&format!("# {family}, {backend}: nothing to change\n")),
        }
        Ok(())
    })
}

fn install_family(plan: &Plan, backend: Backend, family: Family, console: &mut Console<'_>) -> Result<(), Fault> {
    let outcome = match document_for(plan, backend, family)? {
        None => "in place already, nothing changed",
        Some(document) => {
            backend.restore(family, &document)?;
            "now in place"
        }
    };
    let rules = if plan.redirects(family) {
        "the redirection"
    } else {
        "the absence of redirection"
    };
    console.say(&format!("{family}: {rules} is {outcome} ({backend})"));
    if plan.redirects(family) && !plan.outbound_cidrs.include.iter().any(|cidr| cidr.family() == family) {
        console.warn(&format!(
            "all outbound {family} goes round the proxy, for --include-outbound-cidrs has no {family} block"
        ));
    }
    Ok(())
}

/// The document that makes the rules of `family` those of the plan, unless they are that already.
fn document_for(plan: &Plan, backend: Backend, family: Family) -> Result<Option<String>, Fault> {
    let wanted = Rules::of(plan, family);
    let found = backend.rules(family)?;
    let differs = !saved::differences(&wanted, &found).is_empty();
    Ok(differs.then(|| document::install(&wanted, &found)))
}

fn each_family(
    plan: &Plan,
    console: &mut Console<'_>,
    mut act: impl FnMut(Family, &mut Console<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    for family in Family::IN_ORDER {
        match act(family, console) {
            Err(fault) if family == Family::V6 => tolerate(fault, plan, console)?,
            outcome => outcome?,
        }
    }
    Ok(())
}

/// IPv6 that cannot be redirected is a failure, except where it is not wanted, or where none can leave the pod.
fn tolerate(fault: Fault, plan: &Plan, console: &mut Console<'_>) -> Result<(), Fault> {
    if !plan.redirects(Family::V6) {
        // Without ip6tables there is nothing to remove; any other fault may have left former rules in place.
        return if matches!(fault, Fault::ProgramMissing { .. }) {
            Ok(())
        } else {
            Err(fault)
        };
    }
    if let Some(carrier) = address::global_addresses(Family::V6)?.first() {
        return Err(Fault::Ipv6Unprotected {
            address: carrier.address.to_string(),
            cause: Box::new(fault),
        });
    }
    console.warn(&format!(
        "IPv6 is not redirected; none can leave this pod, which has no global IPv6 address. {fault}"
    ));
    Ok(())
}
