//! What the last programs of version 1 of the table of fields said to each other, as it went over the line: of `version-1`,
//! `taken.txt` is a start and two changes of `mesh.yaml`, and `refused.txt` one where the clusters came damaged, without
//! what was in the responses. A line is a message of a delta stream: `>` by the proxy, `<` by the control plane. When there is a
//! version 3 of the table, what the last programs of version 2 said is put beside it.

use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use prost::Message;

/// Good words.
pub(crate) const TAKEN: &str = include_str!("version-1/taken.txt");

/// A message of a stream.
pub(crate) enum Said {
    ByProxy(Box<DeltaDiscoveryRequest>),
    ByControlPlane(DeltaDiscoveryResponse),
}

/// Every message, in its order.
pub(crate) fn read(text: &str) -> impl Iterator<Item = Said> {
    text.lines().map(|line| {
        let (by, hex) = line.split_once(' ').expect("who, and what");
        let digits = hex.as_bytes().chunks(2);
        let bytes: Vec<u8> = digits
            .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        match by {
            ">" => Said::ByProxy(Box::new(exactly(&bytes))),
            "<" => Said::ByControlPlane(exactly(&bytes)),
            _ => panic!("{by}"),
        }
    })
}

/// Nothing in it is left out by today's types: whoever sends it sends the same, in the order of its fields.
fn exactly<M: Message + Default>(bytes: &[u8]) -> M {
    let message = M::decode(bytes).unwrap();
    assert_eq!(message.encoded_len(), bytes.len());
    message
}
