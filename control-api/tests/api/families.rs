//! A service of both families: which cluster each of its addresses leads to, of its own and of its routes' backends.

use evenkeel_control_api::mesh;
use evenkeel_control_api::mesh::FIELDS;
use evenkeel_control_api::mesh::Reader;
use evenkeel_control_api::mesh::model::Apart;
use evenkeel_control_api::mesh::model::Backend;
use evenkeel_control_api::mesh::model::Endpoint;
use evenkeel_control_api::mesh::model::Endpoints;
use evenkeel_control_api::mesh::model::Family;
use evenkeel_control_api::mesh::model::HttpAction;
use evenkeel_control_api::mesh::model::HttpForward;
use evenkeel_control_api::mesh::model::HttpRule;
use evenkeel_control_api::mesh::model::Routes;
use evenkeel_control_api::mesh::model::Service;
use evenkeel_control_api::mesh::model::ServicePort;
use evenkeel_control_api::mesh::model::Target;
use evenkeel_control_api::mesh::model::TlsRule;
use evenkeel_control_api::resource::Kind;
use evenkeel_control_api::xds;
use evenkeel_control_api::xds::Messages;
use std::collections::BTreeSet;
use std::num::NonZeroU16;

const PORT: NonZeroU16 = NonZeroU16::new(80).unwrap();
/// What every service here has as its clusters.
const CLUSTERS: [&str; 6] = [
    "outbound|80||web",
    "outbound|80|ipv6|web",
    "outbound|80||both",
    "outbound|80|ipv4|both",
    "outbound|80||one",
    "outbound|80|missing|web",
];

/// At an address of each family, with endpoints of each.
fn web(routes: Routes) -> Service {
    let endpoints = |address: &str| vec![Endpoint::new(address.parse().expect("an address"))];
    Service {
        vips: ["10.96.0.1", "fd00::1"]
            .map(|vip| vip.parse().expect("an address"))
            .to_vec(),
        ports: vec![ServicePort {
            endpoints: Endpoints::Known(endpoints("10.1.0.1:8080")),
            apart: Some(Apart {
                family: Family::V6,
                endpoints: endpoints("[fd01::1]:8080"),
            }),
            routes,
            ..ServicePort::new(PORT)
        }],
        ..Service::new("web")
    }
}

fn translated(service: &Service) -> Messages {
    mesh::check_service(service).unwrap_or_else(|faults| panic!("{faults}"));
    mesh::translate_service(service, Reader::Evenkeel(FIELDS))
}

/// The clusters that the listener at an address names.
fn led_to(messages: &Messages, address: &str) -> BTreeSet<&'static str> {
    let decoded = messages
        .listeners
        .iter()
        .map(|packed| xds::decode_one(Kind::Listener, packed));
    let mut listeners = decoded.map(|decoded| decoded.unwrap_or_else(|faults| panic!("{faults}")).0);
    let listener = listeners
        .find(|listener| listener.name() == address)
        .expect("it is there");
    let text = format!("{listener:?}");
    CLUSTERS
        .into_iter()
        .filter(|name| text.contains(&format!("\"{name}\"")))
        .collect()
}

/// A backend that serves this family apart.
fn backend(service: &str, apart: Option<Family>) -> Backend {
    Backend::new(Target::Port {
        service: service.to_owned(),
        port: PORT,
        apart,
    })
}

#[test]
fn each_address_leads_to_the_endpoints_of_its_family() {
    let messages = translated(&web(Routes::Own));
    let (resources, _) = xds::decode(&messages).unwrap_or_else(|faults| panic!("{faults}"));
    for (address, cluster, endpoint) in [
        ("10.96.0.1:80", "outbound|80||web", "10.1.0.1:8080"),
        ("[fd00::1]:80", "outbound|80|ipv6|web", "[fd01::1]:8080"),
    ] {
        assert_eq!(led_to(&messages, address), BTreeSet::from([cluster]));
        let mut assignments = resources.assignments.iter();
        let assignment = assignments
            .find(|assignment| &*assignment.cluster == cluster)
            .expect("it is there");
        let addresses: Vec<_> = assignment
            .endpoints
            .iter()
            .map(|endpoint| endpoint.address.to_string())
            .collect();
        assert_eq!(addresses, [endpoint]);
    }
    assert_eq!((resources.clusters.len(), resources.assignments.len()), (2, 2));
}

#[test]
fn a_route_leads_to_the_endpoints_of_the_family_that_was_dialled_where_its_backend_has_both() {
    let backends = || {
        vec![
            backend("both", Some(Family::V4)),
            backend("one", None),
            Backend::new(Target::Missing),
        ]
    };
    let forward = HttpForward {
        backends: backends(),
        ..HttpForward::default()
    };
    let tls = TlsRule {
        name: String::new(),
        hostnames: Vec::new(),
        backends: backends(),
    };
    for (routes, missing) in [
        (Routes::Http(vec![HttpRule::new(HttpAction::Forward(forward))]), None),
        (Routes::Tls(vec![tls]), Some("outbound|80|missing|web")),
        (Routes::Tcp(backends()), Some("outbound|80|missing|web")),
    ] {
        let messages = translated(&web(routes));
        for (address, both) in [
            ("10.96.0.1:80", "outbound|80|ipv4|both"),
            ("[fd00::1]:80", "outbound|80||both"),
        ] {
            let mut found = led_to(&messages, address);
            // What is no request goes to the port's own endpoints.
            found.retain(|name| name.ends_with("both") || name.ends_with("one") || name.contains("missing"));
            let expected: BTreeSet<_> = [both, "outbound|80||one"].into_iter().chain(missing).collect();
            assert_eq!(found, expected, "{address}");
        }
    }
}
