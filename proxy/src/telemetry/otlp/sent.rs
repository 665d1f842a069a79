//! What became of a message, and what a collector says of one that it has taken in part.

/// How a message went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The collector has it, but for what it has rejected.
    Taken(Rejected),
    /// It does not want this one.
    Refused(String),
    /// It is not there, or takes nothing now.
    Away(String),
}

/// `ExportPartialSuccess`, which is alike for all signals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    /// Spans, records or points that it has dropped.
    pub things: u64,
    /// Why, or a warning where it has dropped nothing.
    pub why: String,
}

impl Sent {
    /// Why not all of it was taken, whoever is to be told.
    pub(super) fn outcome(&self) -> Result<(), String> {
        match self {
            Self::Taken(_) => Ok(()),
            Self::Refused(why) | Self::Away(why) => Err(why.clone()),
        }
    }
}

impl Rejected {
    /// What an answer says; what is no answer of a collector says nothing.
    pub(super) fn of_answer(answer: &[u8]) -> Self {
        let mut rejected = Self::default();
        let partial = fields(answer).filter_map(|field| match field {
            (1, Value::Bytes(partial)) => Some(partial),
            _ => None,
        });
        for field in partial.flat_map(fields) {
            match field {
                // An `int64`: of a negative one nothing can be said.
                (1, Value::Number(things)) => rejected.things = u64::try_from(things.cast_signed()).unwrap_or(0),
                (2, Value::Bytes(why)) => rejected.why = String::from_utf8_lossy(why).into_owned(),
                _ => {}
            }
        }
        rejected
    }
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message that are numbers or have a length, as far as it can be read.
fn fields(mut message: &[u8]) -> impl Iterator<Item = (u64, Value<'_>)> {
    std::iter::from_fn(move || {
        let key = number(&mut message)?;
        let value = match key & 7 {
            0 => Value::Number(number(&mut message)?),
            2 => {
                let length = usize::try_from(number(&mut message)?).ok()?;
                let (value, rest) = message.split_at_checked(length)?;
                message = rest;
                Value::Bytes(value)
            }
            _ => return None,
        };
        Some((key >> 3, value))
    })
}

fn number(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_rejected_is_read_and_anything_else_is_nothing() {
        let rejected = |things, why: &str| Rejected {
            things,
            why: why.to_owned(),
        };
        let cases: [(&[u8], Rejected); 8] = [
            (b"", rejected(0, "")),
            (b"\x0a\x07\x08\xac\x02\x12\x02no", rejected(300, "no")),
            (b"\x0a\x04\x12\x02hm", rejected(0, "hm")),
            (b"\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", rejected(0, "")),
            (b"\x0a\x07\x08\x03", rejected(0, "")),
            (b"\x0a\x02\x08\xff", rejected(0, "")),
            (b"<html>", rejected(0, "")),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", rejected(0, "")),
        ];
        for (answer, expected) in cases {
            assert_eq!(Rejected::of_answer(answer), expected, "{answer:?}");
        }
    }
}
