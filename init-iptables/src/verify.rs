//! Proves that the redirection of a plan is in place.
//!
//! Outbound by a connection of our own. Inbound by reading the rules back, for no local connection passes PREROUTING.

use crate::address;
use crate::backend::Backend;
use crate::console::Console;
use crate::family::Family;
use crate::fault::Fault;
use crate::lock::Lock;
use crate::options::KernelFlags;
use crate::plan::Plan;
use crate::probe;
use crate::rules::Rules;
use crate::saved;
use crate::saved::Difference;
use crate::select;

/// Fails with a sentence unless the kernel's rules are those of `plan` and a connection takes the way that they say.
pub fn verify(plan: &Plan, kernel: KernelFlags, console: &mut Console<'_>) -> Result<(), Fault> {
    let _lock = Lock::take(kernel.lock_wait.get())?;
    let backend = select::for_reading(kernel.backend)?;
    for family in Family::IN_ORDER {
        let addressed = !address::global_addresses(family)?.is_empty();
        match rules(plan, backend, family, console) {
            // As `install`, which had to leave this family out: none of it can leave the pod.
            Err(fault) if family == Family::V6 && plan.redirects(family) && !addressed => {
                console.warn(&format!(
                    "IPv6 is not redirected; none can leave this pod, which has no global IPv6 address. {fault}"
                ));
                continue;
            }
            outcome => outcome?,
        }
        if !plan.redirects(family) {
            console.say(&format!("{family}: not redirected, as --ipv6=off says"));
        } else if addressed {
            outbound(plan, family, console)?;
        } else {
            console.say(&format!(
                "{family}: outbound not tried, for this pod has no global {family} address"
            ));
        }
    }
    Ok(())
}

fn rules(plan: &Plan, backend: Backend, family: Family, console: &mut Console<'_>) -> Result<(), Fault> {
    let found = backend.rules(family)?;
    let (preceded, differences): (Vec<Difference>, Vec<Difference>) =
        saved::differences(&Rules::of(plan, family), &found)
            .into_iter()
            .partition(|difference| matches!(difference, Difference::Preceded { .. }));
    for difference in preceded {
        // Not wrong in itself: the trial below shows whether outbound traffic still comes to us.
        console.warn(&format!("{family}: {difference}"));
    }
    if !differences.is_empty() {
        return Err(Fault::RulesDiffer { family, differences });
    }
    if plan.redirects(family) {
        console.say(&format!(
            "{family}: the inbound and outbound rules are as they should be ({backend})"
        ));
    }
    Ok(())
}

fn outbound(plan: &Plan, family: Family, console: &mut Console<'_>) -> Result<(), Fault> {
    let Some(destination) = probe::destination(plan, family)? else {
        console.warn(&format!(
            "{family}: outbound not tried, for no destination that these options redirect has a route in this pod"
        ));
        return Ok(());
    };
    probe::outbound(plan, family, destination)?;
    console.say(&format!(
        "{family}: a connection to {destination} arrives at the proxy's port, its destination kept"
    ));
    Ok(())
}
