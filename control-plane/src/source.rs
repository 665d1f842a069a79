//! A mesh document that is watched, as the views that its readers get. A bad change is refused aloud, and the last good
//! one stays.

use evenkeel_control_api::file::{Document, Refused};
use evenkeel_control_api::mesh::{self, MeshDocument, Reader};
use evenkeel_control_api::serve::{NotServed, View};
use evenkeel_control_api::xds;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// A log is no place for ten thousand faults; `evenkeel-proxy validate` shows all.
const FAULTS_LOGGED: usize = 20;

/// The file, and what it became last.
#[derive(Debug)]
pub(crate) struct Source {
    file: Document,
    mesh: Arc<Mesh>,
}

/// What is served: one view for each class of readers that has asked.
#[derive(Debug)]
pub(crate) struct Mesh(Mutex<InForce>);

#[derive(Debug)]
struct InForce {
    document: MeshDocument,
    views: BTreeMap<Reader, watch::Sender<Arc<View>>>,
    changes: Changes,
}

/// How the changes of the file went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// With the first one.
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
}

impl Source {
    /// Reads the file for the first time; without a good one there is nothing to serve.
    pub(crate) fn open(path: &Path) -> Result<Self, Refused> {
        let file = Document::open(path)?;
        let document = checked(&file)?;
        let mesh = Mesh(Mutex::new(InForce {
            document,
            views: BTreeMap::new(),
            changes: Changes {
                accepted: 1,
                refused: 0,
            },
        }));
        Ok(Self {
            file,
            mesh: Arc::new(mesh),
        })
    }

    /// What is served, now and from now on.
    pub(crate) fn mesh(&self) -> Arc<Mesh> {
        Arc::clone(&self.mesh)
    }

    /// Serves every change. Never ends; needs a tokio runtime with IO and time.
    pub(crate) async fn follow(mut self) {
        loop {
            self.file.changed().await;
            let file = self.file.path().display();
            match checked(&self.file) {
                Ok(document) => {
                    self.mesh.change(document);
                    tracing::info!(%file, "the mesh document has changed");
                }
                Err(refused) => {
                    self.mesh.lock().changes.refused += 1;
                    say(&refused);
                }
            }
        }
    }
}

/// As the proxy checks it: what a client would refuse is refused here already.
fn checked(file: &Document) -> Result<MeshDocument, Refused> {
    let document = file.parse()?;
    xds::decode(&mesh::translate(&document)).map_err(|faults| Refused::Faulty(file.path().to_owned(), faults))?;
    Ok(document)
}

fn say(refused: &Refused) {
    let faults = refused.lines();
    let count = faults.len();
    tracing::error!(
        faults = count,
        "a change was refused, the last good mesh document stays in force"
    );
    for fault in faults.iter().take(FAULTS_LOGGED) {
        tracing::error!("{fault}");
    }
    if count > FAULTS_LOGGED {
        let more = count - FAULTS_LOGGED;
        tracing::error!("and {more} more faults; `evenkeel-proxy validate` shows all");
    }
}

impl Mesh {
    /// What this reader is to have.
    pub(crate) fn views(&self, reader: Reader) -> watch::Receiver<Arc<View>> {
        let InForce { document, views, .. } = &mut *self.lock();
        let class = reader.class();
        let sender = views.entry(class).or_insert_with(|| {
            let view = translated(&View::default(), document, class);
            watch::Sender::new(Arc::new(view))
        });
        sender.subscribe()
    }

    /// How the changes of the file went.
    pub(crate) fn changes(&self) -> Changes {
        self.lock().changes
    }

    /// Services and endpoints, for whoever wants to see that it is the right file.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let services = &self.lock().document.services;
        let endpoints = services
            .iter()
            .flat_map(|service| &service.ports)
            .map(|port| port.endpoints.known().len());
        (services.len(), endpoints.sum())
    }

    fn change(&self, changed: MeshDocument) {
        let InForce {
            document,
            views,
            changes,
        } = &mut *self.lock();
        *document = changed;
        changes.accepted += 1;
        for (class, sender) in views {
            let next = translated(&sender.borrow(), document, *class);
            sender.send_replace(Arc::new(next));
        }
    }

    fn lock(&self) -> MutexGuard<'_, InForce> {
        // Each change is whole before the next begins.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn translated(before: &View, document: &MeshDocument, reader: Reader) -> View {
    let view: Result<View, NotServed> = before.with(&mesh::translate_for(document, reader));
    view.expect("a translation has resources of our types, with names")
}
