//! The story of an update: read, decode, compile, publish; or refuse, and say why.

use super::publisher::Publisher;
use super::status::Status;
use evenkeel_control_api::file::Document;
use evenkeel_control_api::file::Refused;
use evenkeel_control_api::mesh::Loaded;
use evenkeel_control_api::mesh::settings::ProxySettings;
use evenkeel_control_api::resource::Catalog;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// Where a mesh document is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this file, which is watched.
    File(PathBuf),
    /// It is this text.
    Inline(String),
}

/// A watched mesh document whose every good version is published.
#[derive(Debug)]
pub struct Source {
    document: Document,
    settings: Arc<ProxySettings>,
    publisher: Publisher,
}

impl Source {
    /// Publishes the first version, generation 1. Without one there is nothing to run on, not even ports.
    pub fn open(place: &Place) -> Result<Self, Refused> {
        let document = match place {
            Place::File(path) => Document::open(path),
            Place::Inline(text) => Document::inline(text),
        }?;
        let Loaded { settings, resources } = document.load()?;
        let mut publisher = Publisher::of_document(&document.path().display().to_string());
        publisher.publish(&Catalog::default().difference(&resources.into()));
        Ok(Self {
            document,
            settings: Arc::new(settings),
            publisher,
        })
    }

    /// What the document is called: its path, where it has one.
    pub fn name(&self) -> impl fmt::Display {
        self.document.path().display()
    }

    /// The `proxy:` section as the process began with it; later changes to it need a restart.
    pub fn settings(&self) -> &Arc<ProxySettings> {
        &self.settings
    }

    /// What is in force, now and from now on. A refusal is a change too: compare generations.
    pub fn subscribe(&self) -> watch::Receiver<Status> {
        self.publisher.subscribe()
    }

    /// For who begins with what this has.
    pub(super) fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// Publishes every change. Never ends; needs a tokio runtime with IO and time.
    pub async fn follow(mut self) {
        loop {
            self.document.changed().await;
            self.update();
        }
    }

    fn update(&mut self) {
        let file = self.document.path().display();
        let Loaded { settings, resources } = match self.document.load() {
            Ok(loaded) => loaded,
            Err(refused) => return self.publisher.refuse(refused.lines()),
        };
        if settings != *self.settings {
            tracing::warn!(%file, "the `proxy` section has changed, which takes effect when the proxy is restarted");
        }
        let update = self.publisher.catalog().difference(&resources.into());
        if update.is_empty() {
            tracing::info!(%file, "the mesh document says again what is in force");
            return self.publisher.confirm();
        }
        self.publisher.publish(&update);
        tracing::info!(%file, generation = self.publisher.generation(), "a new configuration is in force");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_control_api::fault::Faults;
    use std::fs;
    use std::time::Duration;

    const FIRST: &str = "services:\n- name: web\n  vips: [10.96.0.1]\n  ports:\n  - port: 80\n    endpoints: [{address: 10.0.0.1:80}]\n";

    async fn until(status: &mut watch::Receiver<Status>, fits: impl FnMut(&Status) -> bool) {
        let wait = tokio::time::timeout(Duration::from_mins(1), status.wait_for(fits));
        drop(wait.await.expect("the update is noticed").unwrap());
    }

    #[tokio::test]
    async fn a_bad_change_is_refused_aloud_and_the_last_good_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mesh.yaml");
        fs::write(&path, FIRST).unwrap();
        let source = Source::open(&Place::File(path.clone())).unwrap();
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
        let source = Source::open(&Place::File(path.clone())).unwrap();
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
        assert!(
            matches!(Source::open(&Place::File(path.clone())), Err(Refused::Faulty(_, Faults(faults))) if faults.len() == 1)
        );
    }
}
