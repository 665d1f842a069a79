//! Whether a message holds anything that its type does not know.
//!
//! The decode drops such fields, and lengths tell of them only in a message that is written as we would write it: numbers of a repeated
//! field may be packed or not, a default may be written out, a varint may have more bytes than it needs, and what these save or
//! cost may be as long as the unknown field. So the fields of the message are walked through, and of each the type is asked
//! once: a message with this field alone is decoded, and what is known is still there when it is encoded again.

use prost::Message;
use prost::encoding::WireType;
use prost::encoding::decode_key;
use prost::encoding::decode_varint;
use prost::encoding::encode_key;
use prost::encoding::encode_varint;
use std::any::TypeId;
use std::cell::RefCell;
use std::collections::HashMap;

/// Good as a text, bytes and packed numbers of any width; never as a message: there is no wire type 7.
const NO_MESSAGE: [u8; 8] = [7; 8];
/// Messages inside each other that are remembered of a type. Those that hold themselves have no end of them: a message with more
/// than half as many places of its own is refused, for each costs two decodes.
const MOST_PLACES: usize = 1 << 12;

thread_local! {
    /// What types have been asked already.
    static SHAPES: RefCell<HashMap<TypeId, Shape>> = RefCell::default();
}

/// The messages that may stand in one of a type, itself the first.
struct Shape {
    places: Vec<Place>,
}

/// The fields of a message that were found to be known. There are few: a scan is the fastest search.
#[derive(Default)]
struct Place {
    fields: Vec<((u32, WireType), Content)>,
}

/// What a field holds.
#[derive(Clone, Copy)]
enum Content {
    /// Numbers, text or bytes.
    Value,
    /// A message: which place it is.
    Message(usize),
}

/// A field that is not known, as the numbers of the fields that lead to it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(u32::to_string).collect::<Vec<_>>().join("."))]
pub(crate) struct Unknown(Vec<u32>);

/// Looks through a message that decodes as an `M` for fields that are not known to it.
pub(crate) fn check<M: Message + Default + 'static>(message: &[u8]) -> Result<(), Unknown> {
    SHAPES.with_borrow_mut(|shapes| {
        let shape = shapes.entry(TypeId::of::<M>()).or_default();
        // What is there of other messages is no reason to refuse this one.
        if shape.places.len() > MOST_PLACES / 2 {
            *shape = Shape::default();
        }
        let mut path = Vec::new();
        shape.walk::<M>(message, 0, &mut path).ok_or(Unknown(path))
    })
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            places: vec![Place::default()],
        }
    }
}

impl Shape {
    /// `None`: the last field of the path is not known. Messages are no deeper in each other than the decode allows.
    fn walk<M: Message + Default>(&mut self, mut bytes: &[u8], place: usize, path: &mut Vec<u32>) -> Option<()> {
        while !bytes.is_empty() {
            let (number, wire) = decode_key(&mut bytes).ok()?;
            path.push(number);
            let value = value(&mut bytes, wire)?;
            if let Content::Message(inner) = self.content::<M>(place, wire, path)? {
                self.walk::<M>(value, inner, path)?;
            }
            path.pop();
        }
        Some(())
    }

    /// What the last field of the path holds; `None`: it is not known.
    fn content<M: Message + Default>(&mut self, place: usize, wire: WireType, path: &[u32]) -> Option<Content> {
        let key = (*path.last()?, wire);
        let known = self.places[place].fields.iter().find(|(field, _)| *field == key);
        if let Some((_, content)) = known {
            return Some(*content);
        }
        let content = match ask::<M>(wire, path) {
            Said::Unknown => return None,
            Said::Value => Content::Value,
            Said::Message if self.places.len() > MOST_PLACES => return None,
            Said::Message => {
                self.places.push(Place::default());
                Content::Message(self.places.len() - 1)
            }
        };
        self.places[place].fields.push((key, content));
        Some(content)
    }
}

/// What a type says of a field.
enum Said {
    Unknown,
    Value,
    Message,
}

fn ask<M: Message + Default>(wire: WireType, path: &[u32]) -> Said {
    let Some((number, above)) = path.split_last() else {
        return Said::Unknown;
    };
    let mut field = Vec::new();
    encode_key(*number, wire, &mut field);
    match wire {
        WireType::Varint => field.push(1),
        WireType::SixtyFourBit => field.extend([1; 8]),
        WireType::ThirtyTwoBit => field.extend([1; 4]),
        WireType::LengthDelimited => length_delimited(&mut field, &NO_MESSAGE),
        // Of before the third version of the language: no type that we have has one.
        WireType::StartGroup | WireType::EndGroup => return Said::Unknown,
    }
    let length = |field: Vec<u8>| M::decode(&*inside(above, field)).map(|message| message.encoded_len());
    match (length(field), length(Vec::new())) {
        (Ok(with), Ok(without)) if with == without => Said::Unknown,
        (Ok(_), Ok(_)) => Said::Value,
        // It stands in a message that was decoded: the type of the field is right, and so this is how a message answers.
        (Err(_), Ok(_)) if wire == WireType::LengthDelimited => Said::Message,
        _ => Said::Unknown,
    }
}

/// These fields inside the messages that a path leads through.
fn inside(path: &[u32], fields: Vec<u8>) -> Vec<u8> {
    path.iter().rev().fold(fields, |fields, number| {
        let mut message = Vec::with_capacity(fields.len() + 10);
        encode_key(*number, WireType::LengthDelimited, &mut message);
        length_delimited(&mut message, &fields);
        message
    })
}

fn length_delimited(message: &mut Vec<u8>, value: &[u8]) {
    encode_varint(value.len() as u64, message);
    message.extend_from_slice(value);
}

/// Takes the value of a field off the bytes; `None`: there is none.
fn value<'a>(bytes: &mut &'a [u8], wire: WireType) -> Option<&'a [u8]> {
    let length = match wire {
        WireType::Varint => {
            decode_varint(bytes).ok()?;
            0
        }
        WireType::SixtyFourBit => 8,
        WireType::ThirtyTwoBit => 4,
        WireType::LengthDelimited => usize::try_from(decode_varint(bytes).ok()?).ok()?,
        WireType::StartGroup | WireType::EndGroup => return None,
    };
    let (value, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(value)
}

#[cfg(test)]
mod tests;
