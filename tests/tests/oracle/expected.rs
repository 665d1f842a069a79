//! Fields that differ on purpose in every exchange; they are not compared. What else differs is in `differences.rs`.

/// A field that one side adds, or words differently.
pub(crate) struct Field {
    /// In lower case; all that begin with it where it ends with `*`.
    name: &'static str,
    /// What `docs/envoy.md` says of it.
    pub(crate) what: &'static str,
}

const ADDED: &str = "Nothing is added to requests";
const KEPT: &str = "Answers of endpoints keep their fields";
const OWN: &str = "Answers of the proxy itself are worded differently";
const HOP: &str = "Connections and framing are each hop's own business";

impl Field {
    const fn new(name: &'static str, what: &'static str) -> Self {
        Self { name, what }
    }

    /// Whether it is a field of this name.
    pub(crate) fn covers(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == self.name,
        }
    }
}

/// Of what reaches an endpoint.
pub(crate) const IN_REQUESTS: &[Field] = &[
    Field::new("x-envoy-*", ADDED),
    Field::new("x-forwarded-proto", ADDED),
    Field::new("x-request-id", ADDED),
];

/// Of answers.
pub(crate) const IN_ANSWERS: &[Field] = &[
    Field::new("server", KEPT),
    Field::new("date", KEPT),
    Field::new("x-envoy-*", KEPT),
    Field::new("x-evenkeel-reason", OWN),
    Field::new("content-type", OWN),
    // What is in a body that is compared is compared, and with it its length.
    Field::new("content-length", HOP),
    Field::new("transfer-encoding", HOP),
    Field::new("connection", HOP),
];
