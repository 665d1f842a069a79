//! How long one request may take.

use evenkeel_control_api::resource::route::{GrpcTimeout, Timeouts};
use std::time::Duration;

/// How long one request may take. `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// From the end of the request to the end of the answer.
    pub answer: Option<Duration>,
    /// From the head of the request to the end of both messages.
    pub stream: Option<Duration>,
    /// Without a byte in either direction.
    pub idle: Option<Duration>,
}

impl Limits {
    /// Of a route, for a request that may be gRPC's, and may say how long its client waits: `grpc_timeout` looks for that
    /// field, where something depends on it.
    pub fn of<'a>(timeouts: &Timeouts, grpc: bool, grpc_timeout: impl Fn() -> Option<&'a [u8]>) -> Self {
        let Timeouts {
            answer,
            grpc_answer,
            stream,
            grpc_stream,
            idle,
        } = *timeouts;
        let asked = || grpc_timeout().and_then(duration);
        Self {
            answer: match grpc_answer {
                Some(made) if grpc => of_answer(made, asked()),
                _ => answer,
            },
            stream: match grpc_stream.and_then(|made| Some((made, asked()?))) {
                Some((made, asked)) => Some(of_stream(made, asked)),
                None => stream,
            },
            idle,
        }
    }

    /// Nothing has to be watched.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A client that names no time waits for ever; a time that the difference would use up stays as it is.
fn of_answer(GrpcTimeout { most, sooner }: GrpcTimeout, asked: Option<Duration>) -> Option<Duration> {
    let asked = asked.filter(|asked| !asked.is_zero());
    let asked = asked.map(|asked| {
        let left = asked.saturating_sub(sooner);
        if left.is_zero() { asked } else { left }
    });
    [asked, most].into_iter().flatten().min()
}

/// A time that the difference uses up is over at once.
fn of_stream(GrpcTimeout { most, sooner }: GrpcTimeout, asked: Duration) -> Duration {
    most.map_or(asked, |most| asked.min(most)).saturating_sub(sooner)
}

/// `1*8DIGIT` and a unit (gRPC over HTTP/2, "Requests").
fn duration(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits
        .iter()
        .fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    match unit {
        b'H' => Some(Duration::from_secs(number * 3600)),
        b'M' => Some(Duration::from_secs(number * 60)),
        b'S' => Some(Duration::from_secs(number)),
        b'm' => Some(Duration::from_millis(number)),
        b'u' => Some(Duration::from_micros(number)),
        b'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "every limit may be none")]
    const fn seconds(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    #[test]
    fn a_grpc_timeout_is_digits_and_a_unit() {
        for (text, expected) in [
            ("1H", seconds(3600)),
            ("99999999S", seconds(99_999_999)),
            ("5m", Some(Duration::from_millis(5))),
            ("7u", Some(Duration::from_micros(7))),
            ("7n", Some(Duration::from_nanos(7))),
            ("0S", seconds(0)),
            ("", None),
            ("S", None),
            ("1", None),
            ("-1S", None),
            ("123456789S", None),
            ("1s", None),
        ] {
            assert_eq!(duration(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn what_the_client_of_grpc_asks_for_takes_the_place_of_what_is_configured() {
        let made = |most, sooner| {
            Some(GrpcTimeout {
                most,
                sooner: Duration::from_secs(sooner),
            })
        };
        let answer = |grpc_answer, grpc, asked: Option<&str>| {
            let timeouts = Timeouts {
                answer: seconds(15),
                grpc_answer,
                ..Timeouts::default()
            };
            Limits::of(&timeouts, grpc, || asked.map(str::as_bytes)).answer
        };
        assert_eq!(answer(None, true, Some("3S")), seconds(15));
        assert_eq!(answer(made(None, 0), false, Some("3S")), seconds(15));
        assert_eq!(answer(made(None, 0), true, Some("30S")), seconds(30));
        assert_eq!(answer(made(None, 0), true, None), None, "a client may wait for ever");
        assert_eq!(answer(made(seconds(5), 0), true, None), seconds(5));
        assert_eq!(answer(made(seconds(5), 0), true, Some("30S")), seconds(5));
        assert_eq!(answer(made(None, 1), true, Some("3S")), seconds(2));
        assert_eq!(answer(made(None, 9), true, Some("3S")), seconds(3));
    }

    #[test]
    fn a_stream_that_says_how_long_it_lasts_is_heeded_where_that_is_allowed() {
        let stream = |grpc_stream, asked: Option<&str>| {
            let timeouts = Timeouts {
                stream: seconds(60),
                grpc_stream,
                ..Timeouts::default()
            };
            Limits::of(&timeouts, true, || asked.map(str::as_bytes)).stream
        };
        let heeded = |most, sooner| {
            Some(GrpcTimeout {
                most,
                sooner: Duration::from_secs(sooner),
            })
        };
        assert_eq!(stream(None, Some("3S")), seconds(60));
        assert_eq!(stream(heeded(None, 0), None), seconds(60));
        assert_eq!(stream(heeded(None, 0), Some("90S")), seconds(90));
        assert_eq!(stream(heeded(seconds(5), 1), Some("90S")), seconds(4));
        assert_eq!(stream(heeded(None, 9), Some("3S")), seconds(0));
    }

    #[test]
    fn no_limit_is_none() {
        assert!(Limits::of(&Timeouts::default(), true, || panic!("nobody asks")).is_none());
    }
}
