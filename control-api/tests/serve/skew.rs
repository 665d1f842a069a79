//! A data plane of the version before, and one of this version, at the same control plane.

use crate::support::{Delta, soon};
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use envoy_types::pb::google::protobuf::value::Kind as ValueKind;
use envoy_types::pb::google::protobuf::{Struct, Value};
use evenkeel_control_api::mesh::{self, FIELDS, Reader};
use evenkeel_control_api::resource::Kind;
use evenkeel_control_api::serve::{Server, View};
use evenkeel_control_api::xds::Packed;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::transport::Endpoint;

/// With what came with version 2 of the table of fields: hashing by the client's address.
const MESH: &str = "services: [{name: web, vips: [10.0.0.1], ports: [{port: 80, affinity: client_ip, endpoints: [{address: 10.9.0.1:80}]}]}]";
const WEB: &str = "outbound|80||web";

fn packed(reader: Reader) -> Vec<Packed> {
    mesh::translate_for(&mesh::parse(MESH).unwrap(), reader).clusters
}

fn view(before: &View, text: &str, reader: Reader) -> Arc<View> {
    let messages = mesh::translate_for(&mesh::parse(text).unwrap(), reader);
    Arc::new(before.with(&messages).unwrap())
}

/// Says who it is, and asks for all clusters.
fn introduce(client: &mut Delta, fields: Option<u32>) {
    let number = fields.map(|fields| Value {
        kind: Some(ValueKind::NumberValue(f64::from(fields))),
    });
    let metadata = Struct {
        fields: number
            .map(|number| (Reader::KEY.to_owned(), number))
            .into_iter()
            .collect(),
    };
    let first = DeltaDiscoveryRequest {
        node: Some(Node {
            id: "web.shop".to_owned(),
            metadata: Some(metadata),
            ..Node::default()
        }),
        type_url: Kind::Cluster.type_url(),
        ..DeltaDiscoveryRequest::default()
    };
    client.requests.send(first).unwrap();
}

fn values(response: &DeltaDiscoveryResponse) -> Vec<Vec<u8>> {
    let resources = response.resources.iter();
    let mut values: Vec<_> = resources
        .map(|resource| resource.resource.as_ref().unwrap().value.clone())
        .collect();
    values.sort();
    values
}

#[tokio::test]
async fn each_gets_what_it_knows_and_every_change_of_it() {
    let classes: Arc<Mutex<BTreeMap<Reader, watch::Sender<Arc<View>>>>> = Arc::default();
    let known = Arc::clone(&classes);
    let server = Server::new(move |node, _| {
        let class = node.reader.class();
        let mut classes = known.lock().unwrap();
        let views = classes
            .entry(class)
            .or_insert_with(|| watch::Sender::new(view(&View::default(), MESH, class)));
        Ok(views.subscribe())
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { server.serve(listener, std::future::pending()).await });

    let mut clients = Vec::new();
    for fields in [Some(FIELDS - 1), Some(FIELDS), Some(FIELDS + 1), None] {
        let reader = fields.map_or(Reader::Other, Reader::Evenkeel);
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let mut client = Delta::open(soon(endpoint.connect()).await.unwrap()).await;
        introduce(&mut client, fields);
        let clusters = client.receive().await;
        let mut expected: Vec<_> = packed(reader).into_iter().map(|packed| packed.value).collect();
        expected.sort();
        assert_eq!(values(&clusters), expected, "{reader:?}");
        clients.push((client, clusters, reader));
    }
    let [before, now, ..] = clients.as_slice() else {
        panic!("four")
    };
    assert_ne!(
        values(&before.1),
        values(&now.1),
        "there is something that only this version knows"
    );
    assert_eq!(
        classes.lock().unwrap().len(),
        3,
        "the version after this one gets what this one gets"
    );

    for (client, clusters, _) in &mut clients {
        client.answer(clusters);
        client.subscribe(Kind::Assignment, &[WEB]);
        assert_eq!(client.next().await.resources.len(), 1);
    }
    for (reader, views) in classes.lock().unwrap().iter() {
        let next = view(&views.borrow(), &MESH.replace("10.9.0.1", "10.9.0.2"), *reader);
        views.send_replace(next);
    }
    for (client, _, reader) in &mut clients {
        let changed = client.next().await;
        assert_eq!(
            (changed.resources.len(), &*changed.resources[0].name),
            (1, WEB),
            "{reader:?}"
        );
    }
}
