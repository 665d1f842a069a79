//! Routes, in every pairing of versions: which cluster, what is changed on the way, what is answered here.

mod answers;
mod changes;
mod choices;

use crate::support::Bench;
use crate::support::ask::Answer;
use crate::support::ask::Ask;
use crate::support::ask::Content;
use crate::support::ask::Version;
use crate::support::family::Family;
use crate::support::server::Server;
use crate::support::web;
use evenkeel_control_api::mesh;
use evenkeel_control_api::resource::Resources;
use evenkeel_control_api::resource::RouteConfiguration;
use evenkeel_control_api::resource::listener::HttpConnectionManager;
use evenkeel_control_api::resource::listener::NetworkFilter;
use evenkeel_control_api::resource::listener::RouteSource;
use evenkeel_control_api::resource::route::Action;
use evenkeel_control_api::resource::route::AppendAction;
use evenkeel_control_api::resource::route::ClusterName;
use evenkeel_control_api::resource::route::Destination;
use evenkeel_control_api::resource::route::DirectResponse;
use evenkeel_control_api::resource::route::Forward;
use evenkeel_control_api::resource::route::HeaderAddition;
use evenkeel_control_api::resource::route::HeaderMutations;
use evenkeel_control_api::resource::route::Redirect;
use evenkeel_control_api::resource::route::RedirectPath;
use evenkeel_control_api::resource::route::Route;
use evenkeel_control_api::resource::route::VirtualHost;
use http::Request;
use http::StatusCode;
use std::fmt::Write;
use std::net::SocketAddr;

/// Services `web`, `two`, `three`..., each with one endpoint. Requests to the first are routed as the test says.
fn services(protocol: &str, addresses: &[SocketAddr]) -> Resources {
    let mut text = String::from("services:\n");
    for (number, address) in addresses.iter().enumerate() {
        let vip = Family::current().vip(10 + number as u8);
        write!(
            text,
            "- name: service{number}\n  vips: [\"{vip}\"]\n  ports:\n  - port: 80\n    protocol: {protocol}\n    endpoints: [{{address: \"{address}\"}}]\n",
        )
        .unwrap();
    }
    mesh::load(&text).unwrap().resources
}

fn cluster(number: usize) -> String {
    format!("outbound|80||service{number}")
}

/// What is done with requests to the first service.
fn manager(resources: &mut Resources) -> &mut HttpConnectionManager {
    let listener = resources
        .listeners
        .iter_mut()
        .find(|listener| listener.addresses.contains(&web()));
    let chain = &mut listener.expect("the listener of the first service").chains[0];
    match &mut chain.filter {
        NetworkFilter::Http(manager) => manager,
        NetworkFilter::Tcp(proxy) => panic!("{proxy:?}"),
    }
}

/// Its routes, which are one for everything.
fn routes(resources: &mut Resources) -> &mut RouteConfiguration {
    match &mut manager(resources).routes {
        RouteSource::Inline(routes) => routes,
        RouteSource::Named(name) => panic!("{name}"),
    }
}

fn host(resources: &mut Resources) -> &mut VirtualHost {
    &mut routes(resources).virtual_hosts[0]
}

fn route(resources: &mut Resources) -> &mut Route {
    &mut host(resources).routes[0]
}

fn forward(route: &mut Route) -> &mut Forward {
    match &mut route.action {
        Action::Forward(forward) => forward,
        other => panic!("{other:?}"),
    }
}

fn to(number: usize) -> Destination {
    Destination::One(ClusterName::Literal(cluster(number)))
}

/// A proxy with these resources in force.
fn bench(resources: &Resources) -> Bench {
    let bench = Bench::new("{}\n");
    bench.enforce(resources);
    bench
}

/// A server that answers with what it was asked: the target, the host, and the fields that are a test's.
async fn reflecting(version: Version, name: &'static str) -> Server {
    Server::answering(version, move |ask| {
        let target = ask.uri().path_and_query().map_or("", |target| target.as_str());
        let host = ask.headers().get("host").map_or("", |host| host.to_str().unwrap());
        let mut text = format!("{name} {} {target} {host}", ask.method());
        let mut fields: Vec<_> = ask
            .headers()
            .iter()
            .filter(|(name, _)| name.as_str().starts_with("x-"))
            .collect();
        fields.sort_by_key(|(name, _)| name.as_str());
        for (name, value) in fields {
            write!(text, " {name}={}", value.to_str().unwrap()).unwrap();
        }
        let mut answer = Answer::new(Content::from(text.as_str()));
        answer.headers_mut().insert("x-from", name.parse().unwrap());
        answer.headers_mut().insert("x-secret", "1".parse().unwrap());
        answer
    })
    .await
}

fn get(target: &str) -> Ask {
    ask("GET", target, &[])
}

fn ask(method: &str, target: &str, fields: &[(&str, &str)]) -> Ask {
    let mut ask = Request::builder()
        .method(method)
        .uri(format!("http://web.test{target}"));
    for (name, value) in fields {
        ask = ask.header(*name, *value);
    }
    ask.body(Content::default()).unwrap()
}

fn text(answer: &Answer) -> &str {
    str::from_utf8(&answer.body().bytes).unwrap()
}

fn addition(name: &str, value: &str, action: AppendAction) -> HeaderAddition {
    HeaderAddition {
        name: name.parse().unwrap(),
        value: value.parse().unwrap(),
        action,
    }
}

fn adding(name: &str, value: &str) -> HeaderMutations {
    HeaderMutations {
        remove: Vec::new(),
        add: vec![addition(name, value, AppendAction::Append)],
    }
}

/// `x-a` goes, `x-b` is another, `x-c` comes.
fn mutations() -> HeaderMutations {
    HeaderMutations {
        remove: vec!["x-a".parse().unwrap(), "x-secret".parse().unwrap()],
        add: vec![
            addition("x-b", "new", AppendAction::Overwrite),
            addition("x-c", "there", AppendAction::Append),
        ],
    }
}

fn responding(status: StatusCode, body: &'static str) -> Action {
    Action::Respond(DirectResponse {
        status,
        body: body.into(),
    })
}

fn redirecting() -> Action {
    Action::Redirect(Redirect {
        scheme: Some("https".to_owned()),
        host: Some("other.test".to_owned()),
        port: None,
        path: RedirectPath::Prefix("/new".to_owned()),
        strip_query: false,
        status: StatusCode::PERMANENT_REDIRECT,
    })
}
