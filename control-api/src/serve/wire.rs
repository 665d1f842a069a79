//! Responses in the wire format of protocol buffers, made of pieces that many of them share.
//!
//! The generated types would copy every resource into every response. So the two messages are written by hand here, and
//! read by the generated types in the tests. `DeltaDiscoveryResponse.resources` and `DiscoveryResponse.resources` have the same
//! number, and so has `Resource.resource`: what a response of the state of the world carries for a resource is the end of
//! what a delta response carries.

use super::stock::{Entry, hash};
use crate::xds::Packed;
use bytes::{BufMut, Bytes, BytesMut};
use prost::length_delimiter_len;
use std::collections::VecDeque;
use std::sync::Arc;

/// The tag of a field that is a string, bytes or a message.
const fn tag(field: u8) -> u8 {
    field << 3 | 2
}

const ANY_TYPE_URL: u8 = tag(1);
const ANY_VALUE: u8 = tag(2);
const RESOURCE_VERSION: u8 = tag(1);
const RESOURCE_RESOURCE: u8 = tag(2);
const RESOURCE_NAME: u8 = tag(3);
const RESPONSE_VERSION: u8 = tag(1);
const RESPONSE_RESOURCES: u8 = tag(2);
const RESPONSE_TYPE_URL: u8 = tag(4);
const RESPONSE_NONCE: u8 = tag(5);
const RESPONSE_REMOVED: u8 = tag(6);

/// gRPC before each message: not compressed, and the length.
const PREFIX: usize = 5;
/// Pieces are gathered into chunks of this size when the connection takes them; a larger piece goes as it is.
const CHUNK: usize = 16 << 10;

/// The text of a version.
pub(super) fn version(version: u64) -> String {
    format!("{version:016x}")
}

/// The version of a text; `None`: not one of ours.
pub(super) fn parse_version(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16)
        .ok()
        .filter(|parsed| version(*parsed) == text)
}

/// The version of a resource.
pub(super) fn version_of(Packed { type_url, value }: &Packed) -> u64 {
    hash(&(type_url, value))
}

/// Encodes a resource, once for all.
pub(super) fn entry(name: Arc<str>, version: u64, packed: &Packed) -> Entry {
    let Packed { type_url, value } = packed;
    let text = self::version(version);
    let any = field_len(type_url.len()) + field_len(value.len());
    let resource = field_len(text.len()) + field_len(name.len()) + field_len(any);
    let mut bytes = BytesMut::with_capacity(field_len(resource));
    begin(&mut bytes, RESPONSE_RESOURCES, resource);
    field(&mut bytes, RESOURCE_VERSION, text.as_bytes());
    field(&mut bytes, RESOURCE_NAME, name.as_bytes());
    let sotw = bytes.len();
    begin(&mut bytes, RESOURCE_RESOURCE, any);
    field(&mut bytes, ANY_TYPE_URL, type_url.as_bytes());
    field(&mut bytes, ANY_VALUE, value);
    let delta = bytes.freeze();
    Entry {
        name,
        version,
        sotw: delta.slice(sotw..),
        delta,
    }
}

/// A gRPC message on its way.
#[derive(Debug, Default)]
pub(super) struct Message {
    pieces: VecDeque<Bytes>,
}

impl Message {
    /// A `DeltaDiscoveryResponse`.
    pub(super) fn delta(
        type_url: &str,
        nonce: &str,
        version: u64,
        resources: &[Arc<Entry>],
        removed: &[Arc<str>],
    ) -> Self {
        let mut fields = BytesMut::new();
        fields_of(&mut fields, type_url, nonce, version);
        for name in removed {
            field(&mut fields, RESPONSE_REMOVED, name.as_bytes());
        }
        Self::framed(&fields, resources.iter().map(|entry| &entry.delta))
    }

    /// A `DiscoveryResponse`.
    pub(super) fn sotw(type_url: &str, nonce: &str, version: u64, resources: &[Arc<Entry>]) -> Self {
        let mut fields = BytesMut::new();
        fields_of(&mut fields, type_url, nonce, version);
        Self::framed(&fields, resources.iter().map(|entry| &entry.sotw))
    }

    fn framed<'a>(fields: &[u8], resources: impl Iterator<Item = &'a Bytes> + Clone) -> Self {
        let length = fields.len() + resources.clone().map(Bytes::len).sum::<usize>();
        let mut first = BytesMut::with_capacity(PREFIX + fields.len());
        first.put_u8(0);
        first.put_u32(length as u32);
        first.put_slice(fields);
        let mut pieces = VecDeque::from([first.freeze()]);
        pieces.extend(resources.cloned());
        Self { pieces }
    }

    /// The next part to be written; `None`: that was all.
    pub(super) fn chunk(&mut self) -> Option<Bytes> {
        let first = self.pieces.pop_front()?;
        if first.len() >= CHUNK || self.pieces.is_empty() {
            return Some(first);
        }
        let mut chunk = BytesMut::with_capacity(CHUNK);
        chunk.put(first);
        while let Some(next) = self.pieces.front()
            && chunk.len() + next.len() <= CHUNK
        {
            chunk.put_slice(next);
            self.pieces.pop_front();
        }
        Some(chunk.freeze())
    }
}

fn fields_of(bytes: &mut BytesMut, type_url: &str, nonce: &str, version: u64) {
    field(bytes, RESPONSE_VERSION, self::version(version).as_bytes());
    field(bytes, RESPONSE_TYPE_URL, type_url.as_bytes());
    field(bytes, RESPONSE_NONCE, nonce.as_bytes());
}

fn begin(bytes: &mut BytesMut, tag: u8, length: usize) {
    bytes.put_u8(tag);
    prost::encode_length_delimiter(length, bytes).expect("a `BytesMut` grows");
}

fn field(bytes: &mut BytesMut, tag: u8, value: &[u8]) {
    begin(bytes, tag, value.len());
    bytes.put_slice(value);
}

/// Of a whole field with a value of this length.
fn field_len(value: usize) -> usize {
    1 + length_delimiter_len(value) + value
}

#[cfg(test)]
mod tests {
    use super::*;
    use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryResponse, DiscoveryResponse};
    use envoy_types::pb::google::protobuf::Any;
    use prost::Message as _;

    fn packed(size: usize) -> Packed {
        Packed {
            type_url: "type.googleapis.com/a.B".to_owned(),
            value: vec![7; size],
        }
    }

    fn entries(sizes: &[usize]) -> Vec<Arc<Entry>> {
        let entry = |(number, size): (usize, &usize)| {
            let packed = packed(*size);
            Arc::new(entry(format!("name {number}").into(), version_of(&packed), &packed))
        };
        sizes.iter().enumerate().map(entry).collect()
    }

    fn written(mut message: Message) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(chunk) = message.chunk() {
            bytes.extend_from_slice(&chunk);
        }
        let length = u32::from_be_bytes(bytes[1..PREFIX].try_into().unwrap());
        assert_eq!((bytes[0], length as usize), (0, bytes.len() - PREFIX));
        bytes.split_off(PREFIX)
    }

    const SIZES: [usize; 6] = [0, 1, 127, 128, 20_000, 300];

    #[test]
    fn a_delta_response_reads_as_the_generated_types_read_it() {
        let message = Message::delta("t", "n", 1, &entries(&SIZES), &["gone".into()]);
        let read = DeltaDiscoveryResponse::decode(&*written(message)).unwrap();
        assert_eq!((&*read.type_url, &*read.nonce), ("t", "n"));
        assert_eq!(
            (&*read.system_version_info, &*read.removed_resources),
            ("0000000000000001", &["gone".to_owned()][..])
        );
        for (number, resource) in read.resources.iter().enumerate() {
            let expected = packed(SIZES[number]);
            assert_eq!(resource.name, format!("name {number}"));
            assert_eq!(parse_version(&resource.version), Some(version_of(&expected)));
            let Packed { type_url, value } = expected;
            assert_eq!(resource.resource, Some(Any { type_url, value }));
        }
        assert_eq!(read.resources.len(), SIZES.len());
    }

    #[test]
    fn a_response_of_the_state_of_the_world_has_the_same_bytes() {
        let entries = entries(&SIZES);
        let read = DiscoveryResponse::decode(&*written(Message::sotw("t", "n", 255, &entries))).unwrap();
        assert_eq!(
            (&*read.version_info, &*read.type_url, &*read.nonce),
            ("00000000000000ff", "t", "n")
        );
        let sizes: Vec<_> = read.resources.iter().map(|any| any.value.len()).collect();
        assert_eq!(sizes, SIZES);
        for entry in entries {
            assert!(entry.delta.as_ptr_range().contains(&entry.sotw.as_ptr()));
        }
    }

    #[test]
    fn small_pieces_are_gathered_and_large_ones_shared() {
        let entries = entries(&[100, 100, CHUNK, 100]);
        let mut message = Message::delta("t", "n", 1, &entries, &[]);
        let mut chunks = Vec::new();
        while let Some(chunk) = message.chunk() {
            chunks.push(chunk);
        }
        assert_eq!(chunks.len(), 3);
        assert_eq!(chunks[1].as_ptr(), entries[2].delta.as_ptr());
    }

    #[test]
    fn versions_of_others_are_none() {
        for text in ["", "1", "00000000000000FF", "+000000000000001", "00000000000000001"] {
            assert_eq!(parse_version(text), None, "{text}");
        }
        assert_eq!(parse_version(&version(u64::MAX)), Some(u64::MAX));
    }
}
