//! HTTP filters that we do not have: which of them may be missing, and which resource that names one is refused.

/// Of the generated names.
const FILTERS: &str = "type.googleapis.com/envoy.extensions.filters.http.";

/// Packages of filters without which requests still go where they should, from whom they may: answers lack the headers of CORS,
/// bodies are not gathered first, and calls are not counted by method.
const HARMLESS: [&str; 3] = ["buffer", "cors", "grpc_stats"];

/// Packages of filters without which requests would pass that must not, or go elsewhere. These are refused also where they
/// may be missing: who says so may not have thought of that.
const GUARDS: [&str; 14] = [
    "api_key_auth",
    "basic_auth",
    "body_size_limit",
    "composite",
    "csrf",
    "ext_authz",
    "fault",
    "jwt_authn",
    "local_ratelimit",
    "oauth2",
    "rate_limit_quota",
    "ratelimit",
    "rbac",
    "stateful_session",
];

/// What a filter that is missing means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// Little.
    Harmless,
    /// Something: it may be missing where that is said.
    Noticed,
    /// That requests pass which must not.
    Open,
}

impl Missing {
    /// Of the filter whose configuration is of this type, for a listener or for a route.
    pub(super) fn of(type_url: &str) -> Self {
        // What is wrapped may be anything.
        if type_url.ends_with(".TypedStruct") {
            return Self::Open;
        }
        match type_url.strip_prefix(FILTERS).and_then(|rest| rest.split('.').next()) {
            Some(package) if HARMLESS.contains(&package) => Self::Harmless,
            Some(package) if GUARDS.contains(&package) => Self::Open,
            Some(_) | None => Self::Noticed,
        }
    }

    /// What is noted where it may be missing, or why it may not.
    pub(super) fn verdict(self, wanted: Wanted) -> Result<&'static str, &'static str> {
        match (self, wanted) {
            (_, Wanted::Off) => Ok("has no effect: the filter is disabled"),
            (Self::Harmless, _) | (Self::Noticed, Wanted::Optional) => Ok("has no effect: the filter is not supported"),
            (Self::Noticed, Wanted::Needed) => Err("is not supported"),
            (Self::Open, _) => Err("is not supported, and requests must not pass without it"),
        }
    }
}

/// What is said of a filter, in a listener or on a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Needed,
    /// `is_optional`: who does not know it may do without.
    Optional,
    /// `disabled`: it is not to run, unless a route enables it.
    Off,
}

impl Wanted {
    /// By the two fields.
    pub(super) fn of(is_optional: bool, disabled: bool) -> Self {
        match (is_optional, disabled) {
            (_, true) => Self::Off,
            (true, false) => Self::Optional,
            (false, false) => Self::Needed,
        }
    }
}

/// A type as refusals name it.
pub(super) fn short(type_url: &str) -> &str {
    type_url.rsplit('/').next().unwrap_or_default()
}
