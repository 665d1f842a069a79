//! The other way round: what is said of a field is what happens when it comes over the wire. Fields are found by their numbers, so that
//! none can be forgotten.

use super::Treatment;
use super::decoder::snake;
use super::find;
use super::message::Message as Row;
use prost::Message;
use prost::Name;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// No message that is tried has a higher number.
const NUMBERS: u32 = 128;

/// What the decode said of one message.
#[derive(Debug)]
pub(super) enum Said {
    /// Paths, with reasons.
    Refused(Vec<(String, String)>),
    /// The paths of what was noted.
    Taken(Vec<String>),
}

impl Said {
    fn is_taken(&self) -> bool {
        matches!(self, Self::Taken(_))
    }

    /// Whether a field of one of these names was refused for this reason.
    fn refuses(&self, names: &[String], reason: &str) -> bool {
        match self {
            Self::Refused(faults) => faults.iter().any(|(path, why)| ends_with(path, names) && why == reason),
            Self::Taken(_) => false,
        }
    }

    fn notes(&self, names: &[String]) -> bool {
        match self {
            Self::Refused(_) => false,
            Self::Taken(paths) => paths.iter().any(|path| ends_with(path, names)),
        }
    }
}

fn ends_with(path: &str, names: &[String]) -> bool {
    let last = path.rsplit('.').next().and_then(|last| last.split('[').next());
    names.iter().any(|name| Some(name.as_str()) == last)
}

/// A message that is good, and how a changed one is given to the decode.
pub(super) struct Good<M> {
    pub(super) message: M,
    pub(super) decode: fn(&M) -> Said,
}

/// A field alone, in each way in which one can be written: a number, nothing, a message or a text of two bytes, a `double`, a `float`.
fn written(number: u32) -> Vec<Vec<u8>> {
    let values: [(u32, &[u8]); 5] = [
        (0, &[1]),
        (2, &[0]),
        (2, &[2, 8, 1]),
        (1, &[0, 0, 0, 0, 0, 0, 0xf0, 0x3f]),
        (5, &[0, 0, 0x80, 0x3f]),
    ];
    let field = |(wire, value): (u32, &[u8])| {
        let mut bytes = Vec::new();
        let mut key = number << 3 | wire;
        while key > 0x7f {
            bytes.push(key as u8 | 0x80);
            key >>= 7;
        }
        bytes.push(key as u8);
        bytes.extend_from_slice(value);
        bytes
    };
    values.into_iter().map(field).collect()
}

/// The names of the one field that is set: generated types print each of theirs on a line. One of a choice has two names.
fn names_of<M: Message + Default + Debug>(set: &M) -> Vec<String> {
    let (text, unset) = (format!("{set:#?}"), format!("{:#?}", M::default()));
    let differs = text.lines().zip(unset.lines()).position(|(line, unset)| line != unset);
    let mut lines = text
        .lines()
        .skip(differs.expect("it is not the default"))
        .map(str::trim);
    let name = lines.next().and_then(|line| line.split(':').next()).expect("a field");
    // Of a choice the next line is the variant that was chosen; other values have no parentheses there.
    let chosen = lines
        .next()
        .and_then(|line| line.split_once('('))
        .map(|(variant, _)| variant);
    let chosen = chosen.filter(|variant| variant.starts_with(|letter: char| letter.is_ascii_uppercase()));
    let name = name.trim_start_matches("r#");
    chosen
        .map(snake)
        .into_iter()
        .chain([name.to_owned(), format!("every other {name}")])
        .collect()
}

/// What is said of each field, for each value that can be written.
fn outcomes<M: Message + Default + Debug + PartialEq>(good: &[Good<M>]) -> BTreeMap<Vec<String>, Vec<Said>> {
    let mut outcomes: BTreeMap<Vec<String>, Vec<Said>> = BTreeMap::new();
    for field in (1..NUMBERS).flat_map(written) {
        let Ok(alone) = M::decode(field.as_slice()) else {
            continue;
        };
        if alone == M::default() {
            continue;
        }
        let said = outcomes.entry(names_of(&alone)).or_default();
        for Good { message, decode } in good {
            let mut changed = message.encode_to_vec();
            changed.extend(&field);
            said.extend(M::decode(changed.as_slice()).ok().map(|changed| decode(&changed)));
        }
    }
    outcomes
}

#[track_caller]
pub(super) fn assert_as_said<M: Message + Name + Default + Debug + PartialEq>(rows: &[Row], good: &[Good<M>]) {
    let row = find(rows, &M::full_name());
    for Good { message, decode } in good {
        let before = decode(message);
        assert!(before.is_taken(), "{before:?}");
    }
    let outcomes = outcomes(good);
    for (field, _) in &row.fields {
        assert!(
            outcomes.keys().any(|names| names.contains(field)),
            "{}.{field} was not tried",
            row.name
        );
    }
    for (names, said) in outcomes {
        let on_page = |name: &String| row.fields.iter().find(|(field, _)| field == name);
        let found = names.iter().find_map(on_page);
        let (_, treatment) = found.unwrap_or_else(|| panic!("{}.{names:?} is not on the page", row.name));
        assert!(
            is_so(treatment, &names, &said),
            "{}.{names:?}: {treatment:?}, and {said:?}",
            row.name
        );
    }
}

fn is_so(treatment: &Treatment, names: &[String], said: &[Said]) -> bool {
    let refused = |reason: &str| said.iter().any(|said| said.refuses(names, reason));
    let done = |said: &Said| !said.refuses(names, "is not supported") && !said.notes(names);
    match treatment {
        Treatment::Refused => !said.iter().any(Said::is_taken),
        Treatment::Noted => said.iter().any(|said| said.notes(names)) && said.iter().all(Said::is_taken),
        Treatment::PassedOver => said.iter().any(Said::is_taken),
        Treatment::Used => said.iter().any(done),
        Treatment::Partly(words) if words == "not `true`" => refused("cannot be true"),
        Treatment::Partly(words) if words == "0 only" => refused("is not supported; only 0 (no limit) is"),
        // Which values are taken is not known here.
        Treatment::Partly(_) => true,
    }
}
