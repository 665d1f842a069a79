use super::*;
use evenkeel_control_api::mesh;

fn services(text: &str) -> BTreeMap<Arc<str>, Option<Served>> {
    let document = mesh::parse(text).unwrap();
    let served = document.services.into_iter().map(|service| {
        let name = service.name.as_str().into();
        (name, Some(Served::from(service)))
    });
    served.collect()
}

fn changes(services: BTreeMap<Arc<str>, Option<Served>>) -> Changes {
    Changes {
        services,
        pod: None,
        since: Instant::now(),
    }
}

fn gone(name: &str) -> Changes {
    changes(BTreeMap::from([(name.into(), None)]))
}

fn text(name: &str, vip: &str, endpoint: &str) -> String {
    format!(
        "services: [{{name: {name}, vips: [{vip}], ports: [{{port: 80, endpoints: [{{address: \"{endpoint}\"}}]}}]}}]\n"
    )
}

fn class(zone: Option<&str>) -> Class {
    Class {
        reader: USUAL,
        zone: zone.map(Arc::from),
        pod: None,
    }
}

const ENDPOINTS: &str = "outbound|80||web";

#[test]
fn only_what_has_changed_is_another_version() {
    let views = Views::default();
    views.apply(changes(services(&text("web", "10.0.0.1", "10.1.0.1:80"))));
    views.apply(changes(services(&text("db", "10.0.0.2", "10.1.0.2:80"))));
    let view = views.subscribe(&class(None));
    let version = |name| view.borrow().version(Kind::Assignment, name).unwrap();
    let (web, db) = (version(ENDPOINTS), version("outbound|80||db"));
    views.apply(changes(services(&text("web", "10.0.0.1", "10.1.0.9:80"))));
    assert_ne!(version(ENDPOINTS), web);
    assert_eq!(version("outbound|80||db"), db);
    views.apply(gone("db"));
    assert_eq!(view.borrow().version(Kind::Assignment, "outbound|80||db"), None);
    assert_eq!(view.borrow().version(Kind::Listener, "10.0.0.2:80"), None);
    assert_eq!((views.counts().services, views.counts().endpoints), (1, 1));
    assert_eq!(views.counts().latencies.count(), 4);
}

#[test]
fn every_order_of_changes_leads_to_the_same_view() {
    let texts = [
        text("a", "10.0.0.1", "10.1.0.1:80"),
        text("b", "10.0.0.1", "10.1.0.2:80"),
        text("c", "10.0.0.2", "10.1.0.3:80"),
    ];
    let mut digests = BTreeSet::new();
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]] {
        let views = Views::default();
        let early = views.subscribe(&class(None));
        for place in order {
            views.apply(changes(services(&texts[place])));
        }
        let late = views.subscribe(&class(Some("elsewhere")));
        for view in [early, late] {
            let view = view.borrow();
            let listener = view.version(Kind::Listener, "10.0.0.1:80").unwrap();
            digests.insert((listener, view.count(Kind::Listener), view.count(Kind::Cluster)));
        }
    }
    assert_eq!(digests.len(), 1, "{digests:?}");
}

#[test]
fn an_address_goes_to_whoever_waits_when_it_is_given_up() {
    let views = Views::default();
    let view = views.subscribe(&class(None));
    let listener = || view.borrow().version(Kind::Listener, "10.0.0.1:80");
    views.apply(changes(services(&text("b", "10.0.0.1", "10.1.0.2:80"))));
    let of_b = listener();
    views.apply(changes(services(&text("a", "10.0.0.1", "10.1.0.1:80"))));
    assert_ne!(listener(), of_b, "the first name has it");
    views.apply(gone("a"));
    assert_eq!(listener(), of_b);
    views.apply(gone("b"));
    assert_eq!(listener(), None);
}

#[test]
fn what_is_declared_goes_before_what_is_named_besides() {
    let views = Views::default();
    let view = views.subscribe(&class(None));
    let listener = || view.borrow().version(Kind::Listener, "10.0.0.1:80");
    let mut named = services(&text("a", "10.0.0.1", "10.1.0.1:80"));
    named
        .values_mut()
        .flatten()
        .for_each(|served| served.rank = Rank::Beside);
    views.apply(changes(named));
    let of_the_name = listener();
    // At the address of an endpoint, which a VIP would go before.
    let headless = "services: [{name: b, ports: [{port: 80, endpoints: [{address: \"10.0.0.1:80\"}]}]}]\n";
    for declared in [&text("b", "10.0.0.1", "10.1.0.2:80"), headless] {
        views.apply(changes(services(declared)));
        assert_ne!(listener(), of_the_name, "{declared}");
        views.apply(gone("b"));
        assert_eq!(listener(), of_the_name);
    }
}

#[test]
fn a_zone_sees_its_own_endpoints_and_shares_the_rest() {
    let views = Views::default();
    let mut all = services(&text("web", "10.0.0.1", "10.1.0.1:80"));
    let near = services(&text("web", "10.0.0.1", "10.1.0.2:80"));
    let near = near["web"].clone().unwrap().everywhere;
    let Some(Some(web)) = all.get_mut("web") else { panic!() };
    web.zones.insert("a".into(), near);
    let (before, nowhere) = (views.subscribe(&class(Some("a"))), views.subscribe(&class(None)));
    views.apply(changes(all));
    let after = views.subscribe(&class(Some("a")));
    let version = |view: &watch::Receiver<Arc<View>>, kind, name| view.borrow().version(kind, name).unwrap();
    assert_eq!(
        version(&before, Kind::Assignment, ENDPOINTS),
        version(&after, Kind::Assignment, ENDPOINTS)
    );
    assert_ne!(
        version(&before, Kind::Assignment, ENDPOINTS),
        version(&nowhere, Kind::Assignment, ENDPOINTS)
    );
    assert_eq!(
        version(&before, Kind::Cluster, ENDPOINTS),
        version(&nowhere, Kind::Cluster, ENDPOINTS)
    );
}

#[test]
fn a_class_that_nobody_belongs_to_is_dropped() {
    let views = Views::default();
    let (one, other) = (views.subscribe(&class(Some("a"))), views.subscribe(&class(Some("b"))));
    assert_eq!(views.counts().classes, 2);
    drop(one);
    views.apply(changes(services(&text("web", "10.0.0.1", "10.1.0.1:80"))));
    assert_eq!(views.lock().stages.len(), 1);
    assert!(other.has_changed().unwrap());
}

#[test]
fn pods_of_one_zone_have_their_own_inbound_listener_over_the_same_services() {
    let views = Views::default();
    views.apply(changes(services(&text("web", "10.0.0.1", "10.1.0.1:80"))));
    let pod = Pod {
        inbound: mesh::model::Inbound {
            default: mesh::model::Protocol::Tcp,
            ..mesh::model::Inbound::default()
        },
        ..Pod::default()
    };
    let own = Class {
        pod: Some(pod.clone()),
        ..class(None)
    };
    let (own, all) = (views.subscribe(&own), views.subscribe(&class(None)));
    let version = |view: &watch::Receiver<Arc<View>>, name| view.borrow().version(Kind::Listener, name).unwrap();
    assert_ne!(version(&own, "inbound"), version(&all, "inbound"));
    assert_eq!(version(&own, "10.0.0.1:80"), version(&all, "10.0.0.1:80"));
    let with_pod = Changes {
        pod: Some(pod),
        ..changes(BTreeMap::new())
    };
    views.apply(with_pod);
    assert_eq!(version(&own, "inbound"), version(&all, "inbound"));
}
