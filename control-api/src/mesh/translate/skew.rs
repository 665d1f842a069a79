//! What is left out for a client that does not know it yet: a data plane of one version works with a control plane of the
//! next.
//!
//! To add a field: raise [`FIELDS`], and give the field a row that says since when it is there. Clients that know less get
//! the message without it, as they got it before there was the field.

mod hashing;

use super::grpc;
use super::outgoing::Outgoing;
use crate::xds::Packed;

/// The version of the table of fields: what this build writes, and what it reads.
pub const FIELDS: u32 = 2;

/// What the reader of a translation understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reader {
    /// One of ours, with this version of the table of fields.
    Evenkeel(u32),
    /// One of gRPC's own, which takes services by name and balances by itself.
    Grpc,
    /// Somebody else's: it has rules of its own for what it does not know, and gets everything.
    Other,
}

impl Reader {
    /// The key in a node's metadata whose number is the version.
    pub const KEY: &str = "evenkeel.fields";

    /// One reader for all that get the same as this one: there are as many as versions that added something.
    #[must_use]
    pub fn class(self) -> Self {
        class(TABLE, self)
    }
}

/// A field that not every client of ours knows.
struct Row {
    /// The version of the table that it came with.
    since: u32,
    /// Makes a message what it was before.
    leave_out: fn(&mut Outgoing),
}

/// Every client of ours knows version 1.
const TABLE: &[Row] = &[Row {
    since: 2,
    leave_out: hashing::leave_out,
}];

/// Packs a message as this reader understands it.
pub(super) fn pack(reader: Reader, message: impl Into<Outgoing>) -> Packed {
    fit(TABLE, reader, message.into())
}

fn fit(table: &[Row], reader: Reader, mut message: Outgoing) -> Packed {
    if let Reader::Evenkeel(version) = reader {
        for row in table.iter().filter(|row| row.since > version) {
            (row.leave_out)(&mut message);
        }
    }
    if reader == Reader::Grpc {
        grpc::fit(&mut message);
    }
    message.pack()
}

fn class(table: &[Row], reader: Reader) -> Reader {
    let Reader::Evenkeel(version) = reader else {
        return reader;
    };
    let known = table.iter().map(|row| row.since).filter(|since| *since <= version);
    Reader::Evenkeel(known.max().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use envoy_types::pb::envoy::config::cluster::v3::Cluster;
    use prost::Message;

    const ROWS: &[Row] = &[
        Row {
            since: 2,
            leave_out: |message| {
                if let Outgoing::Cluster(cluster) = message {
                    cluster.alt_stat_name.clear();
                }
            },
        },
        Row {
            since: 4,
            leave_out: |message| {
                if let Outgoing::Cluster(cluster) = message {
                    cluster.connect_timeout = None;
                }
            },
        },
    ];

    fn seen_by(reader: Reader) -> (String, bool) {
        let cluster = Cluster {
            name: "web".to_owned(),
            alt_stat_name: "new in 2".to_owned(),
            connect_timeout: Some(super::super::value::limit(None)),
            ..Cluster::default()
        };
        let packed = fit(ROWS, reader, cluster.into());
        let cluster = Cluster::decode(&*packed.value).unwrap();
        (cluster.alt_stat_name, cluster.connect_timeout.is_some())
    }

    #[test]
    fn a_client_does_not_get_the_fields_of_versions_after_its_own() {
        assert_eq!(seen_by(Reader::Evenkeel(1)), (String::new(), false));
        assert_eq!(seen_by(Reader::Evenkeel(2)), ("new in 2".to_owned(), false));
        assert_eq!(seen_by(Reader::Evenkeel(3)), ("new in 2".to_owned(), false));
        assert_eq!(seen_by(Reader::Evenkeel(4)), ("new in 2".to_owned(), true));
        assert_eq!(seen_by(Reader::Other), ("new in 2".to_owned(), true));
    }

    #[test]
    fn readers_that_get_the_same_are_one_class() {
        let classes = [0, 1, 2, 3, 4, u32::MAX].map(|version| class(ROWS, Reader::Evenkeel(version)));
        assert_eq!(classes, [0, 0, 2, 2, 4, 4].map(Reader::Evenkeel));
        assert_eq!(class(ROWS, Reader::Other), Reader::Other);
    }

    #[test]
    fn no_field_is_newer_than_the_version_that_is_told() {
        assert!(TABLE.iter().all(|row| row.since <= FIELDS));
    }
}
