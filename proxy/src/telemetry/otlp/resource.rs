//! Who we are to a collector.

use evenkeel_control_api::mesh::settings::ControlPlane;
use evenkeel_control_api::mesh::settings::ControlPlaneAt;
use opentelemetry::Key;
use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::EnvResourceDetector;
use std::env;

const SERVICE: &str = "service.name";

/// Who we are: as configured, else by OpenTelemetry's variables, else by the names that Kubernetes gave the pod, or by the
/// node that we are to the control plane.
pub fn resource(service: Option<String>, control_plane: Option<&ControlPlane>) -> Resource {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let (node, cluster) = match control_plane.map(|plane| &plane.at) {
        Some(ControlPlaneAt::Servers { id, cluster, .. }) => (id.as_deref(), Some(cluster.as_str())),
        _ => (None, None),
    };
    // As the injector writes it.
    let (pod, namespace) = node.and_then(|node| node.split_once('.')).unzip();
    let pod = variable("POD_NAME").or_else(|| pod.map(str::to_owned));
    let namespace = variable("POD_NAMESPACE").or_else(|| namespace.map(str::to_owned));
    let described = Resource::builder_empty()
        .with_detector(Box::new(EnvResourceDetector::new()))
        .build();
    let service = service
        .or_else(|| variable("OTEL_SERVICE_NAME"))
        .or_else(|| described.get(&Key::new(SERVICE)).map(|name| name.to_string()))
        .or_else(|| cluster.filter(|cluster| !cluster.is_empty()).map(str::to_owned))
        .or_else(|| pod.clone())
        .unwrap_or_else(|| "unknown_service:evenkeel-proxy".to_owned());
    let attributes = described
        .iter()
        .map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let named = [
        ("k8s.pod.name", pod),
        ("k8s.namespace.name", namespace),
        (SERVICE, Some(service)),
    ];
    let named = named
        .into_iter()
        .filter_map(|(key, value)| Some(KeyValue::new(key, value?)));
    Resource::builder_empty()
        .with_attributes(attributes.chain(named))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_control_api::mesh;

    fn name(resource: &Resource, key: &'static str) -> Option<String> {
        resource.get(&Key::new(key)).map(|value| value.to_string())
    }

    #[test]
    fn a_proxy_is_called_as_its_control_plane_knows_it_unless_it_has_a_name() {
        let document = "control_plane: {servers: [\"127.0.0.1:1\"], node: {id: web-7c9d.shop, cluster: web}}\n";
        let settings = mesh::load(document).unwrap().settings;
        let plane = settings.control_plane.as_ref();
        for (service, expected) in [(None, "web"), (Some("front".to_owned()), "front")] {
            let resource = resource(service, plane);
            assert_eq!(name(&resource, "service.name").as_deref(), Some(expected));
            assert_eq!(name(&resource, "k8s.pod.name").as_deref(), Some("web-7c9d"));
            assert_eq!(name(&resource, "k8s.namespace.name").as_deref(), Some("shop"));
        }
    }
}
