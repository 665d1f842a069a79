//! What the page says of fields beyond their treatment, and of those that are decoded elsewhere than their message.

use super::Treatment;
use super::message::Message;

const CLUSTER: &str = "envoy.config.cluster.v3.Cluster";
const LISTENER: &str = "envoy.config.listener.v3.Listener";
const MANAGER: &str = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

/// Fields that are used with a restriction that lies in their values.
const VALUES: &[(&str, &str, &str)] = &[
    (
        CLUSTER,
        "type",
        "`EDS`, `STATIC`, `STRICT_DNS`, `LOGICAL_DNS` and `ORIGINAL_DST`",
    ),
    (
        CLUSTER,
        "lb_policy",
        "ring hash and Maglev hash the address of the client, or nothing",
    ),
    (
        "envoy.config.route.v3.RouteAction.HashPolicy",
        "connection_properties",
        "`source_ip` only",
    ),
    (
        "envoy.config.cluster.v3.LoadBalancingPolicy",
        "policies",
        "peak EWMA, least request, round robin, random, `WrrLocality` and `ClusterProvided`, ring hash and Maglev; \
         others are passed over, and noted, until one is known; `Subset` and `OverrideHost` are refused",
    ),
    (CLUSTER, "transport_socket", "plain ones only"),
    (CLUSTER, "filters", "Istio's metadata exchange only, which is noted"),
    (
        CLUSTER,
        "typed_extension_protocol_options",
        "`HttpProtocolOptions` only",
    ),
    ("envoy.config.core.v3.SocketOption", "name", "`TCP_USER_TIMEOUT` only"),
    ("envoy.config.core.v3.SocketAddress", "protocol", "`TCP` only"),
    (
        "envoy.config.core.v3.SocketAddress",
        "address",
        "a name where names are resolved, else an IP address",
    ),
    (
        "envoy.config.core.v3.Metadata",
        "filter_metadata",
        "of endpoints, `workload` of `evenkeel`, a text, for metrics; the rest is noted",
    ),
    (
        "envoy.config.endpoint.v3.ClusterLoadAssignment.Policy",
        "drop_overloads",
        "one category",
    ),
    (
        "envoy.config.listener.v3.FilterChain",
        "filters",
        "one, which is the HTTP connection manager or the TCP proxy",
    ),
    (
        LISTENER,
        "listener_filters",
        "`original_dst`, `http_inspector` and `tls_inspector`",
    ),
    (LISTENER, "traffic_direction", "`INBOUND` or `OUTBOUND`"),
    (MANAGER, "codec_type", "not `HTTP3`"),
    (
        MANAGER,
        "server_header_transformation",
        "`PASS_THROUGH`; `OVERWRITE` is the default, and does the same",
    ),
    (
        MANAGER,
        "http_filters",
        "the router ends the list; others are noted where they are disabled, where they are `cors`, `buffer` or `grpc_stats`, or where they are \
         optional and do not decide who may send what",
    ),
    (
        MANAGER,
        "use_remote_address",
        "in `INBOUND` listeners, where it appends to `X-Forwarded-For`",
    ),
];

const USED: Option<&str> = Some("where names are resolved, else noted");
const REFUSED: Option<&str> = Some("refused where names are resolved, else noted");

/// Fields that go elsewhere before the rest of their message is taken apart. Without words they are noted.
const RESOLVING: &[(&str, Option<&str>)] = &[
    ("dns_refresh_rate", USED),
    ("dns_jitter", USED),
    ("dns_failure_refresh_rate", USED),
    ("respect_dns_ttl", None),
    ("dns_lookup_family", USED),
    ("dns_resolvers", REFUSED),
    ("use_tcp_for_dns_lookups", None),
    ("dns_resolution_config", USED),
    ("typed_dns_resolver_config", USED),
];

/// Adds them. Each must find the field as the decoders treat it, or it is out of date.
pub(super) fn add(messages: &mut [Message]) {
    for (message, field, words) in VALUES {
        change(
            messages,
            message,
            field,
            &Treatment::Used,
            Treatment::Partly((*words).to_owned()),
        );
    }
    for (field, words) in RESOLVING {
        let treatment = words.map_or(Treatment::Noted, |words| Treatment::Partly(words.to_owned()));
        change(messages, CLUSTER, field, &Treatment::PassedOver, treatment);
    }
    change(
        messages,
        "envoy.config.core.v3.ConfigSource",
        "initial_fetch_timeout",
        &Treatment::Noted,
        Treatment::Partly("15 s always, its default; noted where it is set".to_owned()),
    );
    let istio = "Istio's own `127.0.0.6` and `::6` are noted where the type is `ORIGINAL_DST`, others refused";
    for field in ["source_address", "extra_source_addresses"] {
        let treatment = Treatment::Partly(istio.to_owned());
        change(
            messages,
            "envoy.config.core.v3.BindConfig",
            field,
            &Treatment::Refused,
            treatment,
        );
    }
}

fn change(messages: &mut [Message], message: &str, field: &str, from: &Treatment, to: Treatment) {
    let found = messages.iter_mut().filter(|known| known.name == message);
    let mut fields = found
        .flat_map(|known| &mut known.fields)
        .filter(|(name, _)| name == field);
    let (_, treatment) = fields.next().unwrap_or_else(|| panic!("no {message}.{field}"));
    assert_eq!(treatment, from, "what is remarked on {message}.{field} is out of date");
    *treatment = to;
}
