//! What is kept of heads and trailers for those who tell of it.

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;

/// Of the name of one field.
const LONGEST_NAME: usize = 256;
/// Of its value.
const LONGEST: usize = 1_024;
/// Fields of one head, where all of them are told.
const MOST: usize = 128;

/// A name and a value.
pub(in crate::telemetry) type Field = (Box<[u8]>, Box<[u8]>);

/// Fields of a head or of trailers, in whatever form they are here.
pub trait Head {
    /// The value of the first line of this name.
    fn first(&self, name: &HeaderName) -> Option<&[u8]>;
    /// All of them, in their order.
    fn each(&self, tell: &mut dyn FnMut(&[u8], &[u8]));
}

impl Head for HeaderMap {
    fn first(&self, name: &HeaderName) -> Option<&[u8]> {
        self.get(name).map(HeaderValue::as_bytes)
    }

    fn each(&self, tell: &mut dyn FnMut(&[u8], &[u8])) {
        for (name, value) in self {
            tell(name.as_str().as_bytes(), value.as_bytes());
        }
    }
}

/// The fields that are told of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub(super) request: Vec<HeaderName>,
    pub(super) response: Vec<HeaderName>,
    pub(super) trailers: Vec<HeaderName>,
    /// All of both heads, besides.
    pub(super) all: bool,
}

/// The values of fields that are told of, in the order in which they are wanted; and all of them, where all are.
#[derive(Debug, Default)]
pub struct Told {
    wanted: Vec<Option<Box<[u8]>>>,
    all: Vec<Field>,
}

impl Wanted {
    /// These, and all of both heads.
    pub(in crate::telemetry) fn and_all(&self) -> Self {
        Self {
            all: true,
            ..self.clone()
        }
    }

    /// Of the request's head.
    pub(super) fn of_request(&self, head: &(impl Head + ?Sized)) -> Told {
        self.of(&self.request, head)
    }

    /// Of the answer's head.
    pub fn of_answer(&self, head: &(impl Head + ?Sized)) -> Told {
        self.of(&self.response, head)
    }

    /// Whether anything of an answer's head is told.
    pub fn wants_answer(&self) -> bool {
        self.all || !self.response.is_empty()
    }

    /// Whether anything of the trailers is told.
    pub fn wants_trailers(&self) -> bool {
        !self.trailers.is_empty()
    }

    fn of(&self, wanted: &[HeaderName], head: &(impl Head + ?Sized)) -> Told {
        let mut told = Told::of(wanted, head);
        if self.all {
            head.each(&mut |name, value| {
                if told.all.len() < MOST {
                    told.all
                        .push((cut(name, LONGEST_NAME).into(), cut(value, LONGEST).into()));
                }
            });
        }
        told
    }
}

impl Told {
    pub(super) fn of(wanted: &[HeaderName], head: &(impl Head + ?Sized)) -> Self {
        let value = |name| head.first(name).map(|value| cut(value, LONGEST).into());
        Self {
            wanted: wanted.iter().map(value).collect(),
            all: Vec::new(),
        }
    }

    pub(super) fn value(&self, place: usize) -> Option<&[u8]> {
        self.wanted.get(place)?.as_deref()
    }

    /// All fields, where all are told.
    pub(in crate::telemetry) fn all(&self) -> &[Field] {
        &self.all
    }
}

/// The beginning of it.
pub(in crate::telemetry) fn cut(bytes: &[u8], most: usize) -> &[u8] {
    &bytes[..bytes.len().min(most)]
}
