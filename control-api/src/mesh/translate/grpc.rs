//! What gRPC's own xDS clients want besides (`xds:///web.shop.svc.cluster.local:80`): a listener that is called as the target
//! is, with nothing but the rules for requests in it (gRFC A27); localities that have weights, for one without is left out
//! (gRFC A27, "EDS"); and a balancing policy that every one of them knows (gRFC A52).

use super::backend::Names;
use super::listener;
use super::outgoing::Outgoing;
use super::value;
use crate::mesh::model::Protocol;
use crate::mesh::model::Routes;
use crate::mesh::model::Service;
use crate::mesh::model::ServicePort;
use envoy_types::pb::envoy::config::endpoint::v3::LocalityLbEndpoints;
use envoy_types::pb::envoy::config::listener::v3::ApiListener;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::listener::v3::filter::ConfigType;

/// The names of the listeners that a service has for gRPC's own clients, and for nobody else.
pub fn names_for_grpc(service: &Service) -> impl Iterator<Item = String> {
    let ports = service.ports.iter().filter(|port| has_requests(port));
    ports.map(|port| Names::new(service, port).stat_name())
}

/// The listener of a service port by its name; `None` where no requests are spoken.
pub(super) fn listener(port: &ServicePort, names: &Names<'_>) -> Option<Listener> {
    if !has_requests(port) {
        return None;
    }
    let Some(ConfigType::TypedConfig(manager)) = listener::requests(port, names).config_type else {
        return None;
    };
    Some(Listener {
        name: names.stat_name(),
        api_listener: Some(ApiListener {
            api_listener: Some(manager),
        }),
        ..Listener::default()
    })
}

fn has_requests(port: &ServicePort) -> bool {
    let speaks_requests = match port.protocol {
        Protocol::Auto | Protocol::Http2 | Protocol::Grpc => true,
        // gRPC is HTTP/2.
        Protocol::Http | Protocol::Tls | Protocol::Tcp => false,
    };
    speaks_requests && matches!(port.routes, Routes::Own | Routes::Http(_))
}

/// Makes a message one that they can use.
pub(super) fn fit(message: &mut Outgoing) {
    match message {
        Outgoing::Cluster(cluster) => {
            if let Some(balancing) = &mut cluster.load_balancing_policy {
                balancing.policies.push(super::cluster::round_robin());
            }
        }
        Outgoing::Assignment(assignment) => assignment.endpoints.iter_mut().for_each(weigh),
        Outgoing::Listener(_) => {}
    }
}

/// A locality has the weight of its endpoints.
fn weigh(locality: &mut LocalityLbEndpoints) {
    let weights = locality
        .lb_endpoints
        .iter()
        .map(|endpoint| endpoint.load_balancing_weight);
    let sum: u32 = weights
        .flatten()
        .map(|weight| weight.value)
        .fold(0, u32::saturating_add);
    locality.load_balancing_weight = (sum > 0).then(|| value::number(sum));
}

#[cfg(test)]
mod tests {
    use crate::mesh::{self, Reader};
    use crate::xds::Messages;
    use envoy_types::pb::envoy::config::cluster::v3::Cluster;
    use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
    use envoy_types::pb::envoy::config::listener::v3::Listener;
    use prost::Message;

    const MESH: &str = "services:\n- name: web.shop\n  vips: [10.96.0.10]\n  ports:\n  \
        - {port: 80, protocol: grpc, endpoints: [{address: \"10.1.0.1:80\", weight: 2}, {address: \"10.1.0.2:80\"}]}\n  \
        - {port: 81, protocol: tcp, endpoints: [{address: \"10.1.0.1:81\"}]}\n";

    fn translated(reader: Reader) -> Messages {
        mesh::translate_for(&mesh::parse(MESH).unwrap(), reader)
    }

    fn listeners(reader: Reader) -> Vec<(String, bool)> {
        let packed = translated(reader).listeners.into_iter();
        packed
            .map(|packed| Listener::decode(&*packed.value).unwrap())
            .map(|listener| (listener.name, listener.api_listener.is_some()))
            .collect()
    }

    #[test]
    fn a_service_that_speaks_requests_has_a_listener_of_its_name_for_grpc_alone() {
        assert!(listeners(Reader::Grpc).contains(&("web.shop:80".to_owned(), true)));
        let named = |reader| listeners(reader).iter().filter(|(_, is_api)| *is_api).count();
        assert_eq!(named(Reader::Grpc), 1);
        assert_eq!(named(Reader::Other) + named(Reader::Evenkeel(mesh::FIELDS)), 0);
    }

    #[test]
    fn localities_have_weights_and_policies_end_with_one_that_every_client_knows() {
        let messages = translated(Reader::Grpc);
        let assignment = ClusterLoadAssignment::decode(&*messages.assignments[0].value).unwrap();
        assert_eq!(
            assignment.endpoints[0].load_balancing_weight.map(|weight| weight.value),
            Some(3)
        );
        let cluster = Cluster::decode(&*messages.clusters[0].value).unwrap();
        let policies = cluster.load_balancing_policy.unwrap().policies;
        let last = policies
            .last()
            .and_then(|policy| policy.typed_extension_config.as_ref())
            .unwrap();
        assert_eq!(last.name, "envoy.load_balancing_policies.round_robin");
    }
}
