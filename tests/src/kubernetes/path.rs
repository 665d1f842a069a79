//! Where a request leads: its path and its query.

use hyper::Uri;

use super::kind::Kind;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) kind: &'static Kind,
    /// `None` for all namespaces, and for kinds that have none.
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    pub(super) subresource: Option<String>,
}

/// The parameters of a query.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(Vec<(String, String)>);

// === impl Target ===

impl Target {
    /// `None` where no kind of ours lies.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let words: Vec<_> = path.trim_matches('/').split('/').collect();
        let (group, version, rest) = match words.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            // `namespaces/NAME` and `namespaces/NAME/status` are about the namespace itself.
            ["namespaces", name, plural, rest @ ..] if Kind::at(group, version, plural).is_some() => {
                (Some((*name).to_owned()), (*plural, rest))
            }
            [plural, rest @ ..] => (None, (*plural, rest)),
            [] => return None,
        };
        let (plural, rest) = rest;
        let (name, subresource) = match rest {
            [] => (None, None),
            [name] => (Some((*name).to_owned()), None),
            [name, subresource] => (Some((*name).to_owned()), Some((*subresource).to_owned())),
            _ => return None,
        };
        Some(Self {
            kind: Kind::at(group, version, plural)?,
            namespace,
            name,
            subresource,
        })
    }

    /// As rules of a Role spell it, such as `pods` and `services/status`.
    pub(super) fn resource(&self) -> String {
        match &self.subresource {
            Some(subresource) => format!("{}/{subresource}", self.kind.plural),
            None => self.kind.plural.to_owned(),
        }
    }
}

// === impl Query ===

impl Query {
    /// The query of a request.
    pub(super) fn of(uri: &Uri) -> Self {
        let pairs = uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Self(pairs.map(|(name, value)| (decoded(name), decoded(value))).collect())
    }

    /// A parameter; empty where it is not given.
    pub(super) fn value(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(given, _)| given == name);
        found.map_or("", |(_, value)| value)
    }

    /// Whether a parameter says yes.
    pub(super) fn says(&self, name: &str) -> bool {
        matches!(self.value(name), "true" | "1")
    }

    /// A parameter that is a number.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.value(name).parse().ok()
    }
}

/// As forms are encoded.
fn decoded(text: &str) -> String {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        let escaped = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match (first, escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                rest = &tail[2..];
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str) -> Option<(String, Option<String>, Option<String>)> {
        let target = Target::parse(path)?;
        Some((target.resource(), target.namespace, target.name))
    }

    #[test]
    fn paths_lead_to_kinds_and_objects() {
        let some = |word: &str| Some(word.to_owned());
        assert_eq!(told("/api/v1/pods"), Some(("pods".to_owned(), None, None)));
        assert_eq!(
            told("/api/v1/namespaces/shop"),
            Some(("namespaces".to_owned(), None, some("shop")))
        );
        assert_eq!(
            told("/api/v1/namespaces/shop/services/web/status"),
            Some(("services/status".to_owned(), some("shop"), some("web")))
        );
        assert_eq!(
            told("/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"),
            Some(("endpointslices".to_owned(), some("shop"), None))
        );
        assert_eq!(told("/apis/discovery.k8s.io/v1beta1/endpointslices"), None);
    }

    #[test]
    fn a_query_is_decoded() {
        let query = Query::of(&"/x?labelSelector=a+in+%28b%2Cc%29&watch=true".parse().unwrap());
        assert_eq!(query.value("labelSelector"), "a in (b,c)");
        assert!(query.says("watch"));
        assert_eq!(query.value("limit"), "");
    }
}
