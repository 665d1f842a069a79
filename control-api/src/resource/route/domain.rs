//! The domains of a virtual host.

use crate::report::Report;

/// Which authorities a virtual host serves, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Domain {
    /// `*`: those that no other one matches.
    Any,
    /// This authority.
    Exact(String),
    /// `*.example.com`: those that end with what follows the asterisk, and are longer.
    Suffix(String),
    /// `example.*`: those that begin with what is before the asterisk, and are longer.
    Prefix(String),
}

impl std::fmt::Display for Domain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(name) => f.write_str(name),
            Self::Suffix(suffix) => write!(f, "*{suffix}"),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

/// Decodes one.
pub(super) fn domain(text: &str, report: &mut Report) -> Option<Domain> {
    let lower = text.to_ascii_lowercase();
    let domain = match (lower.strip_prefix('*'), lower.strip_suffix('*')) {
        _ if lower == "*" => Domain::Any,
        (Some(suffix), _) => Domain::Suffix(suffix.to_owned()),
        (None, Some(prefix)) => Domain::Prefix(prefix.to_owned()),
        (None, None) => Domain::Exact(lower),
    };
    let (Domain::Exact(rest) | Domain::Suffix(rest) | Domain::Prefix(rest)) = &domain else {
        return Some(domain);
    };
    if rest.is_empty() {
        report.refuse("is empty");
        return None;
    }
    if rest.contains('*') {
        report.refuse(format!("{text:?}: there can be one *, at the beginning or at the end"));
        return None;
    }
    Some(domain)
}
