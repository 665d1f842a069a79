//! A mesh document in the making: services and settings in, YAML out.

use crate::service::Service;

/// A mesh document; what is not said is left to the proxy's defaults.
#[derive(Debug, Clone, Default)]
pub struct Document {
    services: Vec<Service>,
    settings: Vec<&'static str>,
}

// === impl Document ===

impl Document {
    /// A document with these services.
    pub fn of(services: &[&Service]) -> Self {
        Self {
            services: services.iter().map(|&service| service.clone()).collect(),
            settings: Vec::new(),
        }
    }

    /// With a line of YAML at the top level, such as `unknown: refuse`.
    #[must_use]
    pub fn with(mut self, setting: &'static str) -> Self {
        self.settings.push(setting);
        self
    }

    /// Its text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for setting in &self.settings {
            text += setting;
            text.push('\n');
        }
        text += if self.services.is_empty() {
            "services: []\n"
        } else {
            "services:\n"
        };
        for service in &self.services {
            text += &service.document();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_stand_beside_the_services() {
        assert_eq!(
            Document::of(&[]).with("unknown: refuse").text(),
            "unknown: refuse\nservices: []\n"
        );
    }
}
