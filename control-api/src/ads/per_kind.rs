//! One value for each type of resource.

use crate::resource::Kind;
use std::ops::Index;
use std::ops::IndexMut;

/// One `T` for each of [`Kind::ALL`].
#[derive(Clone, Debug, Default)]
pub(crate) struct PerKind<T>([T; Kind::ALL.len()]);

impl<T> Index<Kind> for PerKind<T> {
    type Output = T;

    fn index(&self, kind: Kind) -> &T {
        &self.0[kind as usize]
    }
}

impl<T> IndexMut<Kind> for PerKind<T> {
    fn index_mut(&mut self, kind: Kind) -> &mut T {
        &mut self.0[kind as usize]
    }
}
