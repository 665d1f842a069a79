//! Signatures of protocols that are relayed: what a client of each sends first.
//!
//! To add one: its test, and its row in `hint`. A test must answer for every length, and never take back a yes or a no.

use super::Fit;
use super::Hint;
use super::starts_with;

/// What the bytes look like. The order decides where two fit. It is told by what there is, for nothing waits for a label:
/// a client that has sent two bytes may be waiting for its answer.
pub(super) fn hint(bytes: &[u8]) -> Hint {
    let rows = [
        (Hint::Redis, redis as fn(&[u8]) -> Fit),
        (Hint::Amqp, amqp),
        (Hint::Mqtt, mqtt),
        (Hint::Rsocket, rsocket),
        (Hint::Mongo, mongo),
        // Before Kafka, whose Metadata request of version 0 has the same bytes 4 to 7.
        (Hint::Postgres, postgres),
        (Hint::Kafka, kafka),
    ];
    rows.into_iter()
        .find(|(_, test)| test(bytes) == Fit::Yes)
        .map_or(Hint::Unknown, |(hint, _)| hint)
}

/// `*N\r\n$`: an array of bulk strings (RESP 2 and 3). Inline commands look like anything.
fn redis(bytes: &[u8]) -> Fit {
    let Some((b'*', rest)) = bytes.split_first() else {
        return if bytes.is_empty() { Fit::Maybe } else { Fit::No };
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match (digits, &rest[digits..]) {
        (0..=9, []) => Fit::Maybe,
        (1..=9, behind) => starts_with(behind, b"\r\n$"),
        _ => Fit::No,
    }
}

/// The protocol header: 0-9-1 (4.2.2), or 1.0 (2.2) plain, with TLS, with SASL.
fn amqp(bytes: &[u8]) -> Fit {
    any_of([
        starts_with(bytes, b"AMQP\x00\x00\x09\x01"),
        starts_with(bytes, b"AMQP\x00\x01\x00\x00"),
        starts_with(bytes, b"AMQP\x02\x01\x00\x00"),
        starts_with(bytes, b"AMQP\x03\x01\x00\x00"),
    ])
}

/// CONNECT with the protocol's name and level (3.1).
fn mqtt(bytes: &[u8]) -> Fit {
    let Some((0x10, rest)) = bytes.split_first() else {
        return if bytes.is_empty() { Fit::Maybe } else { Fit::No };
    };
    // The remaining length: up to four bytes, of which all but the last have their top bit set.
    let long = rest.iter().take(4).take_while(|byte| **byte >= 0x80).count();
    if long == 4 {
        return Fit::No;
    }
    let name = rest.get(long + 1..).unwrap_or_default();
    any_of([
        starts_with(name, b"\x00\x04MQTT\x04"),
        starts_with(name, b"\x00\x04MQTT\x05"),
        starts_with(name, b"\x00\x06MQIsdp\x03"),
    ])
}

/// SETUP or RESUME on stream 0, version 1.0, behind a length of three bytes.
fn rsocket(bytes: &[u8]) -> Fit {
    // Six bits of type, ten of flags.
    let setup_or_resume = Number(2, &[(0x0400, 0x07ff), (0x3400, 0x37ff)]);
    numbers(
        bytes,
        &[
            Number(3, &[(10, 0xffff)]),
            ZERO,
            setup_or_resume,
            Number(4, &[(0x0001_0000, 0x0001_0000)]),
        ],
    )
}

/// A message header, in little-endian numbers: a length from 21 bytes to 64 KiB, an identifier, an answer to none, one of the
/// codes that clients send (2004, 2012, 2013).
fn mongo(bytes: &[u8]) -> Fit {
    if matches!(bytes, [..21, 0, ..]) {
        return Fit::No;
    }
    let (low, high) = (
        Number(1, &[(0xd4, 0xd4), (0xdc, 0xdd)]),
        Number(3, &[(0x07_0000, 0x07_0000)]),
    );
    numbers(
        bytes,
        &[Number(2, ANY), Number(2, &[(0, 0)]), Number(4, ANY), ZERO, low, high],
    )
}

/// The startup message with the first letter of its first parameter, or a request for TLS, GSS or a cancellation.
fn postgres(bytes: &[u8]) -> Fit {
    // Kafka has a counter where the letter is.
    let letter = Number(1, &[(0x61, 0x7a), (0x5f, 0x5f)]);
    any_of([
        numbers(
            bytes,
            &[
                Number(4, &[(9, 10_000)]),
                Number(4, &[(0x0003_0000, 0x0003_000f)]),
                letter,
            ],
        ),
        numbers(bytes, &[Number(4, &[(8, 8)]), Number(4, &[(80_877_103, 80_877_104)])]),
        numbers(
            bytes,
            &[Number(4, &[(16, 300)]), Number(4, &[(80_877_102, 80_877_102)])],
        ),
    ])
}

/// `ApiVersions`, `Metadata` or `SaslHandshake` with a client id that can be read. Weak: `ZooKeeper` looks like `Produce`.
fn kafka(bytes: &[u8]) -> Fit {
    let request = Number(
        4,
        &[
            (0x0012_0000, 0x0012_0004),
            (0x0003_0000, 0x0003_000d),
            (0x0011_0000, 0x0011_0001),
        ],
    );
    let client = Number(2, &[(0, 255), (0xffff, 0xffff)]);
    let header = numbers(
        bytes,
        &[Number(4, &[(10, 100_000_000)]), request, Number(4, ANY), client],
    );
    if header != Fit::Yes {
        return header;
    }
    let length = be(&bytes[..4]);
    let client = match be(&bytes[12..14]) {
        0xffff => 0,
        client => client,
    };
    if length < 10 + client {
        return Fit::No;
    }
    let id = &bytes[14..bytes.len().min(14 + client as usize)];
    if !id.iter().all(u8::is_ascii_graphic) {
        Fit::No
    } else if id.len() == client as usize {
        Fit::Yes
    } else {
        Fit::Maybe
    }
}

/// A big-endian number of so many bytes, and the ranges, both ends included, of which it must be in one.
struct Number(usize, &'static [(u64, u64)]);

const ANY: &[(u64, u64)] = &[(0, u64::MAX)];
const ZERO: Number = Number(4, &[(0, 0)]);

/// Numbers in a row. The first bytes of one decide if none of its ranges begins with them: a client that sends three
/// bytes and waits must not wait for us.
fn numbers(bytes: &[u8], row: &[Number]) -> Fit {
    let mut rest = bytes;
    for Number(width, ranges) in row {
        let (there, behind) = rest.split_at(rest.len().min(*width));
        let missing = 8 * (width - there.len());
        let least = be(there) << missing;
        let most = least | ((1 << missing) - 1);
        if !ranges.iter().any(|(low, high)| least <= *high && *low <= most) {
            return Fit::No;
        }
        if missing > 0 {
            return Fit::Maybe;
        }
        rest = behind;
    }
    Fit::Yes
}

fn be(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn any_of<const N: usize>(readings: [Fit; N]) -> Fit {
    if readings.contains(&Fit::Yes) {
        Fit::Yes
    } else if readings.contains(&Fit::Maybe) {
        Fit::Maybe
    } else {
        Fit::No
    }
}
