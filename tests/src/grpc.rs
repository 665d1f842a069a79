//! The gRPC service of the replicas, `evenkeel.test.Echo`, and gRPC's framing, shared by the replica and the client.
//!
//! `tests/proto/echo.proto` says the same for clients that generate their code.

use bytes::Buf;
use bytes::BufMut;
use bytes::Bytes;
use bytes::BytesMut;
use prost::Message;

/// Before each message: a byte that says whether it is compressed, and its length.
const PREFIX: usize = 5;

/// The largest message that we take; tests send small ones.
const MESSAGE_LIMIT: usize = 4 << 20;

/// The one message, in both directions.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Echo {
    /// What the client said.
    #[prost(string, tag = "1")]
    pub text: String,
    /// Who answered; empty in requests.
    #[prost(string, tag = "2")]
    pub replica: String,
}

/// The four kinds of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One message, one answer.
    Unary,
    /// Many messages, one answer that joins them.
    ClientStream,
    /// One message, answered [`REPEATS`] times.
    ServerStream,
    /// Each message answered as it comes.
    Bidirectional,
}

/// How many answers a server stream has.
pub const REPEATS: usize = 3;

/// What went wrong with the bytes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// Compressed, which nobody negotiated.
    Compressed,
    /// Longer than the 4 MiB that we take.
    TooLong,
    /// Not an [`Echo`].
    NotEcho,
    /// The stream ended inside a message.
    Truncated,
}

/// Collects bytes until they are messages.
#[derive(Debug, Default)]
pub struct Deframer {
    bytes: BytesMut,
}

// === impl Kind ===

impl Kind {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Unary, Self::ClientStream, Self::ServerStream, Self::Bidirectional];

    /// The request path.
    pub fn path(self) -> &'static str {
        match self {
            Self::Unary => "/evenkeel.test.Echo/Unary",
            Self::ClientStream => "/evenkeel.test.Echo/ClientStream",
            Self::ServerStream => "/evenkeel.test.Echo/ServerStream",
            Self::Bidirectional => "/evenkeel.test.Echo/Bidirectional",
        }
    }

    /// The kind that a path names.
    pub fn from_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.path() == path)
    }
}

// === impl Deframer ===

impl Deframer {
    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message, if there is one.
    pub fn message(&mut self) -> Result<Option<Echo>, Broken> {
        let Some((&[compressed, a, b, c, d], rest)) = self.bytes.split_first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if compressed != 0 {
            return Err(Broken::Compressed);
        }
        if length > MESSAGE_LIMIT {
            return Err(Broken::TooLong);
        }
        if rest.len() < length {
            return Ok(None);
        }
        self.bytes.advance(PREFIX);
        Echo::decode(self.bytes.split_to(length))
            .map(Some)
            .map_err(|_| Broken::NotEcho)
    }

    /// The stream has ended: nothing may be left.
    pub fn finish(&self) -> Result<(), Broken> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(Broken::Truncated)
        }
    }
}

/// A message with its prefix.
pub fn frame(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX + length);
    bytes.put_u8(0);
    bytes.put_u32(length as u32);
    bytes.put_slice(&message.encode_to_vec());
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo(text: &str) -> Echo {
        Echo {
            text: text.to_owned(),
            replica: "r1".to_owned(),
        }
    }

    #[test]
    fn messages_arrive_whole_however_they_are_split() {
        let stream: Vec<u8> = [frame(&echo("one")), frame(&echo("two"))].concat();
        for split in 0..=stream.len() {
            let (mut deframer, mut heard) = (Deframer::default(), Vec::new());
            for part in [&stream[..split], &stream[split..]] {
                deframer.push(part);
                while let Some(message) = deframer.message().unwrap() {
                    heard.push(message.text);
                }
            }
            assert_eq!(heard, ["one", "two"], "split at {split}");
            assert_eq!(deframer.finish(), Ok(()));
        }
    }

    #[test]
    fn a_stream_that_ends_inside_a_message_is_truncated() {
        let mut deframer = Deframer::default();
        deframer.push(&frame(&echo("one"))[..6]);
        assert_eq!(deframer.message(), Ok(None));
        assert_eq!(deframer.finish(), Err(Broken::Truncated));
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_its_bytes_arrive() {
        let mut deframer = Deframer::default();
        deframer.push(&[0, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(deframer.message(), Err(Broken::TooLong));
    }
}
