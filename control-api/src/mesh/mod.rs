//! The mesh document: a whole mesh in one YAML text, for where no control plane is.

pub mod model;
mod path;
mod place;
mod read;
pub mod scalar;
pub mod settings;
pub mod template;
mod translate;
mod yaml;

use crate::fault::Faults;
use crate::resource::Resources;
use crate::xds;
pub use model::MeshDocument;
use settings::ProxySettings;
use settings::Startup;
use std::cell::RefCell;
pub use translate::{
    FIELDS, Reader, check_rule, check_service, names_for_grpc, translate, translate_assignments, translate_for,
    translate_pod, translate_service,
};

/// What a proxy runs on: its own settings, and the resources that xDS would have carried.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// Of this process.
    pub settings: ProxySettings,
    /// Of the mesh. Where that comes from a control plane: what is to hold until it is there; nothing, or what a document
    /// says that says nothing.
    pub resources: Resources,
}

/// Reads a mesh document: every key and value checked, every default filled in.
pub fn parse(text: &str) -> Result<MeshDocument, Faults> {
    let mut faults = Vec::new();
    let tree = yaml::tree(text, &mut faults);
    let faults = RefCell::new(faults);
    let document = tree.map(|root| read::document(&root, &faults));
    let mut faults = faults.into_inner();
    faults.sort_by_key(|fault| fault.position);
    match document {
        Some(document) if faults.is_empty() => Ok(document),
        _ => Err(Faults(faults)),
    }
}

/// Reads a mesh document, translates it into xDS messages and decodes those.
pub fn load(text: &str) -> Result<Loaded, Faults> {
    let document = parse(text)?;
    let plane = document.settings.control_plane.as_ref();
    if plane.is_some_and(|plane| plane.startup == Startup::NotReady) {
        return Ok(Loaded {
            settings: document.settings,
            resources: Resources::default(),
        });
    }
    let (resources, _) = xds::decode(&translate(&document))?;
    Ok(Loaded {
        settings: document.settings,
        resources,
    })
}
