//! What a control plane or a file says: it is refused or it is used, and what was put in force can be taken back.

use std::cell::LazyCell;
use std::net::SocketAddr;
use std::sync::Arc;

use evenkeel_control_api::ads::bootstrap::Bootstrap;
use evenkeel_control_api::mesh;
use evenkeel_control_api::resource::Kind;
use evenkeel_control_api::resource::Resource;
use evenkeel_control_api::resource::Resources;
use evenkeel_control_api::resource::Update;
use evenkeel_control_api::resource::cluster::Discovery;
use evenkeel_control_api::resource::listener::NetworkFilter;
use evenkeel_control_api::resource::listener::RouteSource;
use evenkeel_control_api::xds;
use evenkeel_control_api::xds::Packed;
use evenkeel_proxy::route::Ask;
use evenkeel_proxy::route::Decision;
use evenkeel_proxy::route::Table;
use evenkeel_proxy::snapshot::Compiler;
use evenkeel_proxy::snapshot::Hello;
use evenkeel_proxy::snapshot::Opening;
use evenkeel_proxy::snapshot::Seen;
use evenkeel_proxy::snapshot::Snapshot;
use evenkeel_proxy::snapshot::compile;
use http::HeaderMap;
use http::HeaderValue;

/// One service, for resources that nothing leads to by themselves.
const WEB: &str =
    "services:\n- name: web\n  vips: [10.96.0.10]\n  ports:\n  - {port: 80, protocol: http, endpoints: []}\n";

thread_local! {
    static AROUND: LazyCell<Resources> =
        LazyCell::new(|| mesh::load(WEB).expect("the document above is good").resources);
}

/// A cluster, alone.
pub fn xds_cluster(bytes: &[u8]) {
    resource(Kind::Cluster, bytes, |_, _| {});
}

/// The assignment of a cluster that is there.
pub fn xds_assignment(bytes: &[u8]) {
    resource(Kind::Assignment, bytes, |name, around| {
        for cluster in &mut around.clusters {
            if matches!(cluster.discovery, Discovery::Eds(_)) {
                cluster.discovery = Discovery::Eds(name.to_owned());
            }
        }
    });
}

/// A listener, alone.
pub fn xds_listener(bytes: &[u8]) {
    resource(Kind::Listener, bytes, |_, _| {});
}

/// The routes of a listener that is there.
pub fn xds_route(bytes: &[u8]) {
    resource(Kind::Route, bytes, |name, around| {
        for chain in around.listeners.iter_mut().flat_map(|listener| &mut listener.chains) {
            if let NetworkFilter::Http(manager) = &mut chain.filter {
                manager.routes = RouteSource::Named(name.to_owned());
            }
        }
    });
}

/// A bootstrap file.
pub fn xds_bootstrap(bytes: &[u8]) {
    let parsed = Bootstrap::parse(&String::from_utf8_lossy(bytes));
    match parsed {
        Ok((bootstrap, _)) => assert!(!bootstrap.servers.is_empty(), "there is nobody to ask"),
        Err(faults) => assert!(!faults.0.is_empty(), "it is refused for nothing"),
    }
}

/// A mesh document.
pub fn mesh_document(bytes: &[u8]) {
    match mesh::load(&String::from_utf8_lossy(bytes)) {
        Ok(loaded) => try_out(&compile(loaded.resources, 1)),
        Err(faults) => assert!(!faults.0.is_empty(), "it is refused for nothing"),
    }
}

/// Decodes a resource and puts it in force, with resources around it that `lead` makes lead there.
fn resource(kind: Kind, bytes: &[u8], lead: impl Fn(&str, &mut Resources)) {
    let packed = Packed {
        type_url: kind.type_url(),
        value: bytes.to_vec(),
    };
    let resource = match xds::decode_one(kind, &packed) {
        Ok((resource, _)) => resource,
        Err(faults) => {
            assert!(!faults.0.is_empty(), "it is refused for nothing");
            return;
        }
    };
    let mut around = AROUND.with(|around| (**around).clone());
    lead(resource.name(), &mut around);
    let mut compiler = Compiler::default();
    let set = Update {
        set: each(around),
        removed: Vec::new(),
    };
    compiler.apply(&set);
    try_out(&compiler.snapshot(1));
    let name: Arc<str> = resource.name().into();
    let one = Update {
        set: vec![resource],
        removed: Vec::new(),
    };
    compiler.apply(&one);
    try_out(&compiler.snapshot(2));
    let all = set.set.iter().map(|one| (one.kind(), Arc::from(one.name())));
    compiler.apply(&Update {
        set: Vec::new(),
        removed: all.chain([(kind, name)]).collect(),
    });
    let left = compiler.snapshot(3);
    assert_eq!(left.services().count(), 0, "a listener is left");
    assert_eq!(left.clusters().count(), 0, "a cluster is left");
}

fn each(resources: Resources) -> Vec<Resource> {
    let Resources {
        listeners,
        routes,
        clusters,
        assignments,
    } = resources;
    let listeners = listeners.into_iter().map(|one| Resource::Listener(Arc::new(one)));
    let routes = routes.into_iter().map(|one| Resource::Route(Arc::new(one)));
    let clusters = clusters.into_iter().map(|one| Resource::Cluster(Arc::new(one)));
    let assignments = assignments.into_iter().map(|one| Resource::Assignment(Arc::new(one)));
    clusters.chain(assignments).chain(listeners).chain(routes).collect()
}

/// Sends connections to everything there is and to what is not there.
fn try_out(snapshot: &Snapshot) {
    let source = SocketAddr::from(([10, 244, 1, 1], 40000));
    let elsewhere = SocketAddr::from(([192, 0, 2, 1], 80));
    let known = snapshot.services().map(|(address, _)| *address);
    for destination in known.chain([elsewhere]) {
        for target in [
            snapshot.outbound(destination, Some(source)),
            snapshot.outbound(destination, None),
            snapshot.inbound(destination, Some(source)),
        ] {
            for opening in openings() {
                let seen = Seen {
                    destination,
                    source: Some(source),
                    opening,
                };
                let narrowed = target.as_ref().and_then(|target| target.handling.narrowed(&seen));
                if let Some(http) = narrowed.and_then(|handling| handling.http.clone()) {
                    ask(&http.routes);
                }
            }
        }
    }
}

fn openings() -> [Opening; 4] {
    let hello = Hello {
        server_name: Some("web.shop".to_owned()),
        protocols: vec!["h2".to_owned(), "http/1.1".to_owned()],
    };
    [Opening::Http1, Opening::Http2, Opening::Tls(hello), Opening::Opaque]
}

/// Asks for something of every kind, whatever chance says.
fn ask(routes: &Table) {
    let fields: HeaderMap = [
        ("x-a", "1"),
        ("x-a", "b"),
        ("cookie", "a=b"),
        ("content-type", "application/grpc"),
    ]
    .map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_static(value)))
    .into_iter()
    .collect();
    for (method, authority, path, query) in [
        ("GET", Some("web"), "/", None),
        ("POST", Some("WEB.shop:80"), "/a/b;c=1/d", Some("x=1&y&x=&=2")),
        ("CONNECT", Some("[fd00::1]:80"), "", None),
        ("OPTIONS", None, "*", None),
    ] {
        let ask = Ask {
            method,
            scheme: "http",
            authority: authority.map(str::as_bytes),
            path: path.as_bytes(),
            query: query.map(str::as_bytes),
            fields: &fields,
        };
        for last in [false, true] {
            let (_, decision) = routes.find(|| ask, &mut |sides| if last { sides.get() - 1 } else { 0 });
            match decision {
                Decision::Forward(forward) => {
                    let change = forward.changes.as_ref().and_then(|changes| changes.path.as_ref());
                    let changed = change.and_then(|change| change.apply(ask.path, ask.query));
                    assert!(changed.is_none_or(|path| path.starts_with(b"/")), "no path");
                }
                Decision::Answer(answer) => drop(answer.location(&ask)),
                Decision::Nowhere | Decision::NoRule => {}
            }
        }
    }
}
