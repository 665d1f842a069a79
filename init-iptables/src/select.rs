//! Which backend holds our rules, and which one is to hold them.

use crate::backend::Backend;
use crate::document;
use crate::family::Family;
use crate::fault::Fault;
use crate::options::BackendChoice;

/// The backend for `install`: the one asked for, or else where our rules are already, or else nft if it works here, or
/// else legacy. The trial of nft leaves nothing behind but the empty nat table that iptables makes.
pub fn for_install(choice: BackendChoice) -> Result<Backend, Fault> {
    match chosen_or_holding(choice) {
        Some(backend) => Ok(backend),
        None => first_that_works(|backend| backend.restore(Family::V4, &document::probe())),
    }
}

/// The backend to look into without changing anything: as [`for_install`], but a backend works if it can be read.
pub fn for_reading(choice: BackendChoice) -> Result<Backend, Fault> {
    match chosen_or_holding(choice) {
        Some(backend) => Ok(backend),
        None => first_that_works(|backend| backend.rules(Family::V4).map(drop)),
    }
}

fn chosen_or_holding(choice: BackendChoice) -> Option<Backend> {
    match choice {
        BackendChoice::Nft => Some(Backend::Nft),
        BackendChoice::Legacy => Some(Backend::Legacy),
        BackendChoice::Auto => Backend::IN_ORDER.into_iter().find(|backend| holds_ours(*backend)),
    }
}

/// A backend that cannot be read is not the one that we used; if it should be used now, it will say why it cannot.
fn holds_ours(backend: Backend) -> bool {
    Family::IN_ORDER
        .into_iter()
        .any(|family| backend.rules(family).is_ok_and(|rules| !rules.is_empty()))
}

fn first_that_works(works: impl Fn(Backend) -> Result<(), Fault>) -> Result<Backend, Fault> {
    let Err(nft) = works(Backend::Nft) else {
        return Ok(Backend::Nft);
    };
    let Err(legacy) = works(Backend::Legacy) else {
        return Ok(Backend::Legacy);
    };
    Err(Fault::NoBackend {
        nft: Box::new(nft),
        legacy: Box::new(legacy),
    })
}
