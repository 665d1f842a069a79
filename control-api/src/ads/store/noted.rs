//! Which fields without effect were told of already: once is a warning, ten thousand times is noise.

use crate::fault::Note;
use crate::resource::Kind;
use std::collections::BTreeSet;

/// More fields than the types have; paths hold keys of maps, too, which are anybody's words.
const MOST: usize = 1000;

/// The fields that were told of.
#[derive(Clone, Debug, Default)]
pub(super) struct Noted(BTreeSet<(Kind, String)>);

impl Noted {
    /// Those of `notes` whose field comes for the first time.
    pub(super) fn fresh<'a>(&mut self, kind: Kind, notes: &'a [Note]) -> impl Iterator<Item = &'a Note> {
        let seen = &mut self.0;
        notes
            .iter()
            .filter(move |note| seen.len() < MOST && seen.insert((kind, without_indexes(&note.path))))
    }
}

/// `a[0].b[12]` as `a[].b[]`.
fn without_indexes(path: &str) -> String {
    let mut pieces = path.split('[');
    let mut field = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        field.push('[');
        field.push_str(piece.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(path: &str) -> Note {
        Note {
            path: path.to_owned(),
            reason: "has no effect".to_owned(),
        }
    }

    #[test]
    fn a_field_is_told_of_once_wherever_it_is() {
        let mut noted = Noted::default();
        let fields = [
            note("routes[0].cors"),
            note("routes[13].cors"),
            note("routes[0].decorator"),
        ];
        let paths = |fresh: Vec<&Note>| fresh.into_iter().map(|note| note.path.clone()).collect::<Vec<_>>();
        let first = paths(noted.fresh(Kind::Route, &fields).collect());
        assert_eq!(first, ["routes[0].cors", "routes[0].decorator"]);
        assert_eq!(noted.fresh(Kind::Route, &fields).count(), 0);
        assert_eq!(
            noted.fresh(Kind::Cluster, &fields).count(),
            2,
            "another type's fields are others"
        );
    }

    #[test]
    fn there_is_an_end_to_it() {
        let mut noted = Noted::default();
        let fields: Vec<_> = (0..2 * MOST).map(|key| note(&format!("metadata.{key}"))).collect();
        assert_eq!(noted.fresh(Kind::Cluster, &fields).count(), MOST);
        assert_eq!(noted.0.len(), MOST);
    }
}
