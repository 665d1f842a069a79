//! What a node is to have: resources by type and name, each encoded once.

use super::stock::Stock;
use super::wire;
use crate::resource::Kind;
use crate::xds::{Messages, Packed};
use prost::Message;
use std::collections::HashSet;
use std::sync::Arc;

/// The resources of one node, or of many. Cloning one copies four pointers; a changed clone shares with the original what
/// is the same in both.
#[derive(Clone, Debug, Default)]
pub struct View {
    stocks: [Arc<Stock>; 4],
}

/// Why a resource cannot be in a view.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotServed {
    /// Not one of [`Kind`].
    #[error("resources of the type {0} are not served")]
    Type(String),
    /// Nobody could ask for it.
    #[error("a resource of the type {0} has no name")]
    Nameless(String),
}

/// The one field that all types of resources have in common.
#[derive(Clone, PartialEq, Message)]
struct Named {
    #[prost(string, tag = "1")]
    name: String,
}

impl View {
    /// The view that has exactly these resources. What this one has in the same version is kept, not encoded anew.
    pub fn with(&self, messages: &Messages) -> Result<Self, NotServed> {
        let mut view = self.clone();
        let mut kept = HashSet::new();
        for packed in messages.all() {
            kept.insert(view.set(packed)?);
        }
        for kind in Kind::ALL {
            for entry in self.stock(kind).entries() {
                if !kept.contains(&(kind, Arc::clone(&entry.name))) {
                    view.remove(kind, &entry.name);
                }
            }
        }
        Ok(view)
    }

    /// What a resource is called.
    pub fn name(packed: &Packed) -> Result<(Kind, String), NotServed> {
        let kind = Kind::of_type_url(&packed.type_url).ok_or_else(|| NotServed::Type(packed.type_url.clone()))?;
        let named = Named::decode(&*packed.value).unwrap_or_default();
        if named.name.is_empty() {
            return Err(NotServed::Nameless(packed.type_url.clone()));
        }
        Ok((kind, named.name))
    }

    /// Adds a resource, or puts it in the place of the one of its name; what it is.
    pub fn set(&mut self, packed: &Packed) -> Result<(Kind, Arc<str>), NotServed> {
        let (kind, name) = Self::name(packed)?;
        let version = wire::version_of(packed);
        let stock = &mut self.stocks[kind as usize];
        if let Some(old) = stock.entry(&name)
            && old.version == version
        {
            return Ok((kind, Arc::clone(&old.name)));
        }
        let name: Arc<str> = name.into();
        Arc::make_mut(stock).set(wire::entry(Arc::clone(&name), version, packed));
        Ok((kind, name))
    }

    /// Takes over a resource of another view, and shares its bytes; without it there, takes it away here.
    pub fn adopt(&mut self, other: &Self, kind: Kind, name: &str) {
        let Some(entry) = other.stock(kind).entry(name) else {
            return self.remove(kind, name);
        };
        let stock = &mut self.stocks[kind as usize];
        if !stock.entry(name).is_some_and(|old| Arc::ptr_eq(old, entry)) {
            Arc::make_mut(stock).share(Arc::clone(entry));
        }
    }

    /// Takes a resource away, if it is there.
    pub fn remove(&mut self, kind: Kind, name: &str) {
        let stock = &mut self.stocks[kind as usize];
        if stock.entry(name).is_some() {
            Arc::make_mut(stock).remove(name);
        }
    }

    /// The version of a resource: the same where the content is.
    pub fn version(&self, kind: Kind, name: &str) -> Option<String> {
        self.stock(kind).entry(name).map(|entry| wire::version(entry.version))
    }

    /// How many resources of a type there are.
    pub fn count(&self, kind: Kind) -> usize {
        self.stock(kind).entries().count()
    }

    pub(super) fn stock(&self, kind: Kind) -> &Arc<Stock> {
        &self.stocks[kind as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh;

    fn messages(endpoint: &str) -> Messages {
        let text = format!(
            "services:\n- {{name: web, vips: [10.0.0.1], ports: [{{port: 80, endpoints: [{{address: \"{endpoint}\"}}]}}]}}\n\
             - {{name: db, vips: [10.0.0.2], ports: [{{port: 81, endpoints: []}}]}}\n"
        );
        mesh::translate(&mesh::parse(&text).unwrap())
    }

    #[test]
    fn what_is_the_same_is_shared_with_the_view_before() {
        let first = View::default().with(&messages("10.1.0.1:80")).unwrap();
        let second = first.with(&messages("10.1.0.2:80")).unwrap();
        for kind in [Kind::Cluster, Kind::Listener, Kind::Route] {
            assert!(Arc::ptr_eq(first.stock(kind), second.stock(kind)), "{kind}");
        }
        let entry = |view: &View, name| Arc::clone(view.stock(Kind::Assignment).entry(name).unwrap());
        assert!(Arc::ptr_eq(
            &entry(&first, "outbound|81||db"),
            &entry(&second, "outbound|81||db")
        ));
        let version = |view: &View| view.version(Kind::Assignment, "outbound|80||web").unwrap();
        assert_ne!(version(&first), version(&second));
        let again = second.with(&messages("10.1.0.1:80")).unwrap();
        assert_eq!(version(&first), version(&again));
    }

    #[test]
    fn what_is_adopted_is_shared() {
        let first = View::default().with(&messages("10.1.0.1:80")).unwrap();
        let mut second = View::default();
        for name in ["outbound|80||web", "outbound|81||db"] {
            second.adopt(&first, Kind::Assignment, name);
        }
        assert_eq!(
            first.stock(Kind::Assignment).digest(),
            second.stock(Kind::Assignment).digest()
        );
        let entry = |view: &View| Arc::clone(view.stock(Kind::Assignment).entry("outbound|80||web").unwrap());
        assert!(Arc::ptr_eq(&entry(&first), &entry(&second)));
        second.adopt(&View::default(), Kind::Assignment, "outbound|80||web");
        assert_eq!(second.count(Kind::Assignment), 1);
    }

    #[test]
    fn what_is_missing_is_taken_away() {
        let first = View::default().with(&messages("10.1.0.1:80")).unwrap();
        let mut less = messages("10.1.0.1:80");
        less.assignments.remove(0);
        let second = first.with(&less).unwrap();
        assert_eq!((first.count(Kind::Assignment), second.count(Kind::Assignment)), (2, 1));
    }

    #[test]
    fn what_nobody_could_ask_for_is_refused() {
        let packed = |type_url: String| Packed {
            type_url,
            value: Vec::new(),
        };
        let mut view = View::default();
        assert_eq!(
            view.set(&packed("a.B".to_owned())),
            Err(NotServed::Type("a.B".to_owned()))
        );
        let listener = Kind::Listener.type_url();
        assert_eq!(view.set(&packed(listener.clone())), Err(NotServed::Nameless(listener)));
    }
}
