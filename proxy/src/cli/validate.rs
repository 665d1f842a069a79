//! `validate`: the way of a document into the proxy, without the proxy.

use crate::control::source::Place;
use crate::control::source::Source;
use crate::snapshot::Discovery;
use std::collections::HashSet;

/// `Ok`: a line that says what was found; `Err`: a line for each fault.
pub(super) fn validate(document: &Place) -> Result<String, String> {
    let source = Source::open(document).map_err(|refused| refused.to_string())?;
    let status = source.subscribe();
    let status = status.borrow();
    let snapshot = status.snapshot.as_ref().ok_or("nothing was accepted")?;
    let services: HashSet<_> = snapshot
        .services()
        .flat_map(|(_, all)| all)
        .map(|one| &one.service)
        .collect();
    let endpoints: usize = snapshot
        .clusters()
        .map(|(_, cluster)| match &cluster.discovery {
            Discovery::Endpoints(assignment) => assignment.endpoints.len(),
            Discovery::OriginalDestination(_) => 0,
        })
        .sum();
    let ports = snapshot.inbound_ports().filter(|(port, _)| port.is_some()).count();
    let (name, services) = (source.name(), services.len());
    Ok(format!(
        "{name}: valid: {services} service ports, {endpoints} endpoints, {ports} inbound ports\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validated(text: &str) -> (String, Result<String, String>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mesh.yaml");
        std::fs::write(&file, text).unwrap();
        (file.display().to_string(), validate(&Place::File(file)))
    }

    #[test]
    fn a_valid_document_is_one_line_with_counts() {
        let (file, found) = validated(
            "services:\n- name: web\n  vips: [10.96.0.1, 'fd00::1']\n  ports:\n  - {port: 80, endpoints: [{address: \
             10.0.0.1:80}]}\n  - {port: 81, endpoints: [{address: 10.0.0.1:81}, {address: 10.0.0.2:81}]}\n",
        );
        assert_eq!(
            found,
            Ok(format!(
                "{file}: valid: 2 service ports, 3 endpoints, 0 inbound ports\n"
            ))
        );
    }

    #[test]
    fn every_fault_is_a_line_with_its_place() {
        let (file, found) = validated("unknown: perhaps\nservcies: []\n");
        let faults = found.unwrap_err();
        let lines: Vec<_> = faults.lines().collect();
        assert_eq!(lines.len(), 2, "{faults}");
        assert!(lines[0].starts_with(&format!("{file}:1:10: unknown: ")), "{faults}");
        assert!(lines[1].starts_with(&format!("{file}:2:1: servcies: ")), "{faults}");
    }

    #[test]
    fn a_text_is_checked_as_a_file_is() {
        let found = validate(&Place::Inline("services: []\n".to_owned()));
        let sentence = "inline configuration: valid: 0 service ports, 0 endpoints, 0 inbound ports\n";
        assert_eq!(found, Ok(sentence.to_owned()));
        let found = validate(&Place::Inline("unknown: refuse\nservices: 3\n".to_owned()));
        assert!(found.unwrap_err().starts_with("inline configuration:2:11: services: "));
    }
}
