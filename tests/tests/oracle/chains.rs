//! Which filter chain takes a connection, and which listener.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;

use anyhow::Result;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::xds::resource;
use serde_json::Value;
use serde_json::json;

use crate::exchange::get;
use crate::world::Endpoints;
use crate::world::NAMES;
use crate::world::World;

const TLS: &str = "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector";
const HTTP: &str = "type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector";

/// A listener whose chains lead to one endpoint each, in the order of [`NAMES`].
fn listener(name: &str, at: SocketAddr, matches: &[Value], default: bool) -> Value {
    let chain = |(matches, name): (&Value, &str)| json!({"name": name, "filter_chain_match": matches, "filters": [resource::tcp(&format!("bytes-{name}"))]});
    let chains: Vec<Value> = matches.iter().zip(NAMES).map(chain).collect();
    let inspectors = json!([
        {"name": "tls", "typed_config": {"@type": TLS}},
        {"name": "http", "typed_config": {"@type": HTTP}},
    ]);
    let mut listener = resource::with(
        resource::listener(name, at, &chains),
        json!({"listener_filters": inspectors}),
    );
    if default {
        let last = NAMES[NAMES.len() - 1];
        listener["default_filter_chain"] =
            json!({"name": "default", "filters": [resource::tcp(&format!("bytes-{last}"))]});
    }
    listener
}

/// A TLS hello (RFC 8446 4.1.2) that asks for these.
fn hello(server_name: Option<&str>, protocols: &[&str]) -> Vec<u8> {
    let short = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
    let mut extensions = Vec::new();
    if let Some(name) = server_name {
        let names = short(&[&[0], &*short(name.as_bytes())].concat());
        extensions.extend([&[0, 0], &*short(&names)].concat());
    }
    if !protocols.is_empty() {
        let list: Vec<u8> = protocols
            .iter()
            .flat_map(|name| [&[name.len() as u8], name.as_bytes()].concat())
            .collect();
        extensions.extend([&[0, 16], &*short(&short(&list))].concat());
    }
    // TLS 1.2, no session, one cipher, no compression.
    let body = [
        &[3, 3][..],
        &[7; 32],
        &[0],
        &[0, 2, 0x13, 1],
        &[1, 0],
        &short(&extensions),
    ]
    .concat();
    let length = (body.len() as u32).to_be_bytes();
    let handshake = [&[1], &length[1..], &body].concat();
    [&[22, 3, 1][..], &short(&handshake)].concat()
}

fn openings() -> Vec<Vec<u8>> {
    vec![
        hello(None, &[]),
        hello(Some("web.test"), &[]),
        hello(Some("WEB.test"), &[]),
        hello(Some("x.web.test"), &[]),
        hello(Some("y.x.web.test"), &[]),
        hello(Some("x.test"), &[]),
        hello(Some("other.example"), &["h2"]),
        hello(Some("other.example"), &["http/1.1"]),
        hello(Some("other.example"), &["h2", "http/1.1"]),
        hello(Some("other.example"), &["http/1.1", "h2"]),
        hello(Some("other.example"), &["foo", "h2"]),
        hello(Some("web.test"), &["h2"]),
        hello(None, &["foo"]),
        get("web.test", "/", &[]).into_bytes(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(),
        b"\x01\x02\x03\x04 no protocol at all\r\n".to_vec(),
    ]
}

/// Each is a listener of its own, with the matches of its chains.
fn matches() -> Vec<Vec<Value>> {
    let names = |names: &[&str]| json!({"server_names": names});
    let transport = |name: &str| json!({"transport_protocol": name});
    let protocols = |names: &[&str]| json!({"application_protocols": names});
    vec![
        vec![
            names(&["web.test"]),
            names(&["*.web.test"]),
            names(&["*.test"]),
            json!({}),
        ],
        // Nothing but a name leads in.
        vec![names(&["web.test"]), names(&["*.web.test"])],
        vec![transport("tls"), transport("raw_buffer")],
        vec![transport("tls"), json!({})],
        vec![
            protocols(&["http/1.0", "http/1.1"]),
            protocols(&["h2c"]),
            protocols(&["h2"]),
            protocols(&["foo"]),
            transport("tls"),
        ],
        // A server's name comes before what is spoken: with the name there is no way back.
        vec![
            json!({"server_names": ["web.test"], "application_protocols": ["h2"]}),
            json!({"application_protocols": ["h2"]}),
            transport("tls"),
            json!({}),
        ],
        vec![
            json!({"server_names": ["other.example"], "transport_protocol": "raw_buffer"}),
            transport("tls"),
        ],
    ]
}

#[test]
fn names_transports_and_protocols_choose_the_chain() -> Result<()> {
    for default in [false, true] {
        let at = |endpoints: &Endpoints<'_>, number: usize| {
            SocketAddr::new(endpoints.family().vip(10), 9000 + number as u16)
        };
        let world = World::new(Family::V4, |endpoints| {
            let listeners = matches().into_iter().enumerate();
            listeners
                .map(|(number, matches)| listener(&number.to_string(), at(endpoints, number), &matches, default))
                .collect()
        })?;
        agree(
            &world,
            (0..matches().len()).map(|number| world.vip(10, 9000 + number as u16)),
        )?;
    }
    Ok(())
}

#[test]
fn ports_ranges_and_sources_choose_the_chain() -> Result<()> {
    for family in Family::BOTH {
        let bits = if family == Family::V4 { 32 } else { 128 };
        let range = |address: IpAddr, length: u32| json!({"address_prefix": address.to_string(), "prefix_len": length});
        let world = World::new(family, |endpoints| {
            let family = endpoints.family();
            let anywhere: IpAddr = match family {
                Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
                Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
            };
            let by_range = [
                json!({"prefix_ranges": [range(family.vip(11), bits)]}),
                json!({"prefix_ranges": [range(family.vip(8), bits - 3)]}),
                json!({"prefix_ranges": [range(family.vip(8), bits - 8)]}),
                json!({"destination_port": 9100, "prefix_ranges": [range(family.vip(12), bits)]}),
                json!({"destination_port": 9101}),
            ];
            let pods = range(endpoints.http(0).ip(), bits - 16);
            let by_source = [
                json!({"source_prefix_ranges": [range(endpoints.http(0).ip(), bits)]}),
                json!({"source_prefix_ranges": [pods]}),
                json!({"source_type": "SAME_IP_OR_LOOPBACK"}),
                json!({}),
            ];
            // Clients take any of the latter.
            let ports: Vec<u32> = (1024..=65_535).collect();
            let by_port = [
                json!({"source_ports": [1, 2]}),
                json!({"source_ports": ports}),
                json!({}),
            ];
            vec![
                // Found for every address of the port but those that have a listener of their own.
                listener("any", SocketAddr::new(anywhere, 9100), &by_range, false),
                listener("one", SocketAddr::new(family.vip(20), 9100), &[json!({})], false),
                listener("source", SocketAddr::new(family.vip(10), 9102), &by_source, false),
                listener("port", SocketAddr::new(family.vip(10), 9103), &by_port, false),
            ]
        })?;
        let numbers = [8, 9, 10, 11, 12, 13, 15, 16, 20, 200];
        agree(
            &world,
            numbers
                .into_iter()
                .map(|number| world.vip(number, 9100))
                .chain([world.vip(10, 9102), world.vip(10, 9103)]),
        )?;
    }
    Ok(())
}

fn agree(world: &World, addresses: impl Iterator<Item = SocketAddr>) -> Result<()> {
    let mut differences = Vec::new();
    for at in addresses {
        for opening in openings() {
            let both = world.ask(at, &opening)?;
            if both.ours != both.envoy {
                let opening = String::from_utf8_lossy(&opening).into_owned();
                differences.push(format!(
                    "{at} {opening:?}\n  ours:  {:?}\n  Envoy: {:?}",
                    both.ours, both.envoy
                ));
            }
        }
    }
    anyhow::ensure!(
        differences.is_empty(),
        "{} differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
    Ok(())
}
