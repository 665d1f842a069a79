//! The settings file, watched. A bad change is refused aloud, and the last good one stays.

use super::counts::Counts;
use crate::inject::settings::Settings;
use evenkeel_control_api::file::{Document, Refused};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::watch;

/// The file, and what it became last.
#[derive(Debug)]
pub struct SettingsFile {
    file: Document,
    sender: watch::Sender<Arc<Settings>>,
    counts: Arc<Counts>,
}

impl SettingsFile {
    /// Reads the file for the first time; without a good one there is nothing to inject with.
    pub fn open(path: &Path, counts: Arc<Counts>) -> Result<Self, Refused> {
        let file = Document::open(path)?;
        let settings = file.with(Settings::parse)?;
        counts.settings_accepted();
        Ok(Self {
            file,
            sender: watch::Sender::new(Arc::new(settings)),
            counts,
        })
    }

    /// The settings in force, now and from now on.
    pub fn settings(&self) -> watch::Receiver<Arc<Settings>> {
        self.sender.subscribe()
    }

    /// Takes every good change. Never ends; needs a tokio runtime with IO and time.
    pub async fn follow(mut self) {
        loop {
            self.file.changed().await;
            let file = self.file.path().display();
            match self.file.with(Settings::parse) {
                Ok(settings) => {
                    self.sender.send_replace(Arc::new(settings));
                    self.counts.settings_accepted();
                    tracing::info!(%file, "the settings of the injector have changed");
                }
                Err(refused) => {
                    self.counts.settings_refused();
                    tracing::error!("a change was refused, the last good settings of the injector stay in force");
                    for fault in refused.lines() {
                        tracing::error!("{fault}");
                    }
                }
            }
        }
    }
}
