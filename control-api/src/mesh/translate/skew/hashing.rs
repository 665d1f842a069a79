//! Since version 2: affinity. A reader of version 1 refuses the hash policy of a TCP proxy, and of the policies of a
//! cluster it gets the one behind ring hash.

use crate::mesh::translate::outgoing::Outgoing;
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::listener::v3::FilterChain;
use envoy_types::pb::envoy::config::listener::v3::filter::ConfigType;
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
use envoy_types::pb::envoy::extensions::load_balancing_policies::ring_hash::v3::RingHash;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::util::pack_any;
use prost::Message;
use prost::Name;

/// Without affinity.
pub(super) fn leave_out(message: &mut Outgoing) {
    match message {
        Outgoing::Cluster(cluster) => unhashed(cluster),
        Outgoing::Listener(listener) => {
            let chains = listener.filter_chains.iter_mut();
            chains.chain(&mut listener.default_filter_chain).for_each(chain);
        }
        Outgoing::Assignment(_) => {}
    }
}

fn unhashed(cluster: &mut Cluster) {
    let Some(balance) = &mut cluster.load_balancing_policy else {
        return;
    };
    balance.policies.retain(|policy| {
        let config = policy
            .typed_extension_config
            .as_ref()
            .and_then(|one| one.typed_config.as_ref());
        config.is_none_or(|config| config.type_url != RingHash::type_url())
    });
}

fn chain(chain: &mut FilterChain) {
    for filter in &mut chain.filters {
        let Some(ConfigType::TypedConfig(any)) = &mut filter.config_type else {
            continue;
        };
        change(any, |proxy: &mut TcpProxy| proxy.hash_policy.clear());
        change(any, |manager: &mut HttpConnectionManager| {
            let Some(RouteSpecifier::RouteConfig(routes)) = &mut manager.route_specifier else {
                return;
            };
            for route in routes.virtual_hosts.iter_mut().flat_map(|host| &mut host.routes) {
                if let Some(Action::Route(action)) = &mut route.action {
                    action.hash_policy.clear();
                }
            }
        });
    }
}

/// Changes what is packed, where it is of this type.
fn change<M: Message + Name + Default>(any: &mut Any, work: impl FnOnce(&mut M)) {
    if any.type_url == M::type_url()
        && let Ok(mut message) = M::decode(any.value.as_slice())
    {
        work(&mut message);
        *any = pack_any(message);
    }
}
