//! The story of an update: read, decode, compile, publish; or refuse, and say why.

use super::document::Document;
use super::document::Refused;
use super::status::Refusal;
use super::status::Status;
use crate::snapshot;
use evenkeel_control_api::mesh::Loaded;
use evenkeel_control_api::mesh::settings::ProxySettings;
use evenkeel_control_api::resource::Resources;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::watch;

/// A log is no place for ten thousand faults; `validate` shows all.
const FAULTS_LOGGED: usize = 20;

/// A watched mesh document whose every good version is published.
#[derive(Debug)]
pub struct Source {
    document: Document,
    settings: Arc<ProxySettings>,
    in_force: Resources,
    status: watch::Sender<Status>,
}

impl Source {
    /// Publishes the first version, generation 1. Without one there is nothing to run on, not even ports.
    pub fn open(path: &Path) -> Result<Self, Refused> {
        let document = Document::open(path)?;
        let Loaded { settings, resources } = document.load()?;
        let snapshot = compile(&document, &resources, 1)?;
        let mut status = Status::default();
        status.accept(snapshot, SystemTime::now());
        let (settings, status) = (Arc::new(settings), watch::Sender::new(status));
        Ok(Self {
            document,
            settings,
            in_force: resources,
            status,
        })
    }

    /// The `proxy:` section as the process began with it; later changes to it need a restart.
    pub fn settings(&self) -> &Arc<ProxySettings> {
        &self.settings
    }

    /// What is in force, now and from now on. A refusal is a change too: compare generations.
    pub fn subscribe(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Publishes every change. Never ends; needs a tokio runtime with IO and time.
    pub async fn follow(mut self) {
        loop {
            self.document.changed().await;
            self.update();
        }
    }

    fn update(&mut self) {
        let generation = self.status.borrow().generation() + 1;
        let file = self.document.path().display();
        let loaded = self.document.load();
        if let Ok(Loaded { settings, .. }) = &loaded
            && *settings != *self.settings
        {
            tracing::warn!(%file, "the `proxy` section has changed, which takes effect when the proxy is restarted");
        }
        let compiled = loaded.and_then(|Loaded { resources, .. }| {
            if resources == self.in_force {
                return Ok(None);
            }
            let snapshot = compile(&self.document, &resources, generation)?;
            Ok(Some((resources, snapshot)))
        });
        match compiled {
            Ok(None) => {
                tracing::info!(%file, "the mesh document says again what is in force");
                self.status.send_modify(|status| status.refusal = None);
            }
            Ok(Some((resources, snapshot))) => {
                tracing::info!(%file, generation, "a new configuration is in force");
                self.in_force = resources;
                self.status
                    .send_modify(|status| status.accept(snapshot, SystemTime::now()));
            }
            Err(refused) => self.refuse(&refused),
        }
    }

    fn refuse(&self, refused: &Refused) {
        let faults = refused.lines();
        let (generation, count) = (self.status.borrow().generation(), faults.len());
        tracing::error!(
            faults = count,
            generation,
            "an update was refused, the last good configuration stays in force"
        );
        for fault in faults.iter().take(FAULTS_LOGGED) {
            tracing::error!("{fault}");
        }
        if count > FAULTS_LOGGED {
            tracing::error!(
                "and {} more faults; `evenkeel-proxy validate` shows all",
                count - FAULTS_LOGGED
            );
        }
        self.status
            .send_modify(|status| status.refuse(Refusal { faults }, SystemTime::now()));
    }
}

fn compile(document: &Document, resources: &Resources, generation: u64) -> Result<Arc<snapshot::Snapshot>, Refused> {
    let snapshot = snapshot::compile(resources, generation);
    snapshot
        .map(Arc::new)
        .map_err(|faults| Refused::Faulty(document.path().to_owned(), faults))
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_control_api::fault::Faults;
    use std::fs;
    use std::time::Duration;

    const FIRST: &str = "services:\n- name: web\n  vips: [10.96.0.1]\n  ports:\n  - port: 80\n    endpoints: [{address: 10.0.0.1:80}]\n";

    async fn until(status: &mut watch::Receiver<Status>, fits: impl FnMut(&Status) -> bool) {
        let wait = tokio::time::timeout(Duration::from_secs(5), status.wait_for(fits));
        drop(wait.await.expect("the update is noticed").unwrap());
    }

    #[tokio::test]
    async fn a_bad_change_is_refused_aloud_and_the_last_good_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mesh.yaml");
        fs::write(&path, FIRST).unwrap();
        let source = Source::open(&path).unwrap();
        let mut status = source.subscribe();
        let first = status.borrow().snapshot.clone().unwrap();
        assert_eq!(first.generation, 1);
        tokio::spawn(source.follow());

        fs::write(&path, FIRST.replace("endpoints:", "endpionts:")).unwrap();
        until(&mut status, |status| status.refused == 1).await;
        let refused = status.borrow().clone();
        assert!(Arc::ptr_eq(refused.snapshot.as_ref().unwrap(), &first));
        let faults = refused.refusal.unwrap().faults;
        assert!(
            faults.iter().any(|fault| fault.contains("mesh.yaml:6:5: ")),
            "{faults:?}"
        );

        fs::write(&path, FIRST).unwrap();
        until(&mut status, |status| status.refusal.is_none()).await;
        assert!(
            Arc::ptr_eq(status.borrow().snapshot.as_ref().unwrap(), &first),
            "the same again is no update"
        );

        fs::write(&path, FIRST.replace("10.0.0.1", "10.0.0.2")).unwrap();
        until(&mut status, |status| status.accepted == 2).await;
        assert_eq!(status.borrow().generation(), 2);
    }

    #[tokio::test]
    async fn a_file_that_vanishes_leaves_the_last_good_configuration_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mesh.yaml");
        fs::write(&path, FIRST).unwrap();
        let source = Source::open(&path).unwrap();
        let mut status = source.subscribe();
        tokio::spawn(source.follow());
        fs::remove_file(&path).unwrap();
        until(&mut status, |status| status.refused == 1).await;
        assert_eq!(status.borrow().generation(), 1);
        fs::write(&path, FIRST.replace("10.0.0.1", "10.0.0.2")).unwrap();
        until(&mut status, |status| status.generation() == 2).await;
    }

    #[test]
    fn a_process_does_not_begin_with_a_bad_document() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mesh.yaml");
        fs::write(&path, "service: []\n").unwrap();
        assert!(matches!(Source::open(&path), Err(Refused::Faulty(_, Faults(faults))) if faults.len() == 1));
    }
}
