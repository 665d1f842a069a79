//! What is kept of heads and trailers for lines that tell of it.

use http::HeaderMap;
use http::HeaderName;

/// Of the value of one field.
const LONGEST: usize = 1_024;

/// Fields of a head or of trailers, in whatever form they are here.
pub trait Head {
    /// The value of the first line of this name.
    fn first(&self, name: &HeaderName) -> Option<&[u8]>;
}

impl Head for HeaderMap {
    fn first(&self, name: &HeaderName) -> Option<&[u8]> {
        self.get(name).map(http::HeaderValue::as_bytes)
    }
}

/// The fields that lines tell of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub(super) request: Vec<HeaderName>,
    pub(super) response: Vec<HeaderName>,
    pub(super) trailers: Vec<HeaderName>,
}

/// The values of fields that are told of, in the order in which they are wanted.
#[derive(Debug, Default)]
pub struct Told(Vec<Option<Box<[u8]>>>);

impl Wanted {
    /// Of the answer's head.
    pub fn of_answer(&self, head: &(impl Head + ?Sized)) -> Told {
        Told::of(&self.response, head)
    }

    /// Whether anything of the trailers is told.
    pub fn wants_trailers(&self) -> bool {
        !self.trailers.is_empty()
    }

    /// Whether anything of an answer's head is told.
    pub fn wants_answer(&self) -> bool {
        !self.response.is_empty()
    }
}

impl Told {
    pub(super) fn of(wanted: &[HeaderName], head: &(impl Head + ?Sized)) -> Self {
        let value = |name| head.first(name).map(|value| value[..value.len().min(LONGEST)].into());
        Self(wanted.iter().map(value).collect())
    }

    pub(super) fn value(&self, place: usize) -> Option<&[u8]> {
        self.0.get(place)?.as_deref()
    }
}
