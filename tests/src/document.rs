//! A mesh document in the making: services and settings in, YAML out.

use crate::service::Service;

/// A mesh document; what is not said is left to the proxy's defaults.
#[derive(Debug, Clone, Default)]
pub struct Document {
    services: Vec<Service>,
    settings: Vec<String>,
    control_plane: Option<String>,
}

// === impl Document ===

impl Document {
    /// A document with these services.
    pub fn of(services: &[&Service]) -> Self {
        Self {
            services: services.iter().map(|&service| service.clone()).collect(),
            ..Self::default()
        }
    }

    /// A document whose mesh comes from a control plane; `section` is the value of `control_plane:`, in YAML's flow style.
    pub fn under(section: &str) -> Self {
        Self {
            control_plane: Some(section.to_owned()),
            ..Self::default()
        }
    }

    /// With a line of YAML at the top level, such as `unknown: refuse`.
    #[must_use]
    pub fn with(mut self, setting: impl Into<String>) -> Self {
        self.settings.push(setting.into());
        self
    }

    /// Its text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for setting in &self.settings {
            text += setting;
            text.push('\n');
        }
        if let Some(section) = &self.control_plane {
            return text + "control_plane: " + section + "\n";
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

    #[test]
    fn a_mesh_that_comes_from_a_control_plane_has_no_services_of_its_own() {
        let document = Document::under("{servers: [\"127.0.0.1:15010\"]}").with("proxy: {workers: 2}");
        assert_eq!(
            document.text(),
            "proxy: {workers: 2}\ncontrol_plane: {servers: [\"127.0.0.1:15010\"]}\n"
        );
    }
}
