//! The path of a value inside a document, such as `services[2].ports[0].balance`, without an allocation until a fault
//! needs it.

use std::fmt;

/// A chain of steps from the root, each borrowed from the one who took it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

/// One step down.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'a> {
    /// Nowhere: the root.
    Stay,
    /// To the value of a key.
    Key(&'a str),
    /// To an item of a list.
    Index(usize),
}

impl Path<'_> {
    /// The document itself.
    pub(super) const ROOT: Path<'static> = Path {
        parent: None,
        step: Step::Stay,
    };

    /// One step further.
    pub(super) fn then<'b>(&'b self, step: Step<'b>) -> Path<'b> {
        Path {
            parent: Some(self),
            step,
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Stay => Ok(()),
            Step::Key(key) if self.parent.is_some_and(|parent| parent.parent.is_some()) => write!(f, ".{key}"),
            Step::Key(key) => f.write_str(key),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}
