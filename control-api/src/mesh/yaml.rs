//! YAML text to a tree of nodes that know where they stand.
//!
//! Only the part of YAML that a configuration needs: mappings with plain keys, lists and scalars. Anchors, aliases and
//! tags are refused (an alias of an alias of a list is how a short text becomes a huge tree), as are duplicate keys
//! and a second document.

use super::path::Path;
use super::path::Step;
use crate::fault::Fault;
use crate::fault::Position;
use saphyr_parser::Event;
use saphyr_parser::Marker;
use saphyr_parser::Parser;
use saphyr_parser::ScalarStyle;
use saphyr_parser::StrInput;
use std::collections::HashSet;

/// The longest text that is read, in bytes: room for a hundred thousand endpoints.
const MAX_TEXT: usize = 16 << 20;
/// The deepest nesting; a mesh document needs eight levels.
const MAX_DEPTH: usize = 32;

/// One value of the document.
#[derive(Debug)]
pub(super) struct Node {
    /// Where it begins.
    pub(super) at: Position,
    /// What it is.
    pub(super) value: Value,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum Value {
    /// An unquoted scalar: a number, a word or text, as whoever reads it expects.
    Plain(String),
    /// A quoted or block scalar, which is text.
    Quoted(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping; keys are unique.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug)]
pub(super) struct Entry {
    /// The key.
    pub(super) key: String,
    /// Where the key stands.
    pub(super) at: Position,
    /// Its value.
    pub(super) value: Node,
}

/// The tree of `text`, or an empty mapping when nothing is in it. What is wrong is added to `faults`; `None` when
/// the rest of the text cannot be told any more.
pub(super) fn tree(text: &str, faults: &mut Vec<Fault>) -> Option<Node> {
    if text.len() > MAX_TEXT {
        faults.push(Fault {
            position: None,
            path: String::new(),
            reason: format!("the document is {} bytes long, more than {MAX_TEXT}", text.len()),
        });
        return None;
    }
    let mut builder = Builder {
        parser: Parser::new_from_str(text),
        open: Vec::new(),
        root: None,
        documents: 0,
        faults,
    };
    builder.run()?;
    let empty = Node {
        at: Position { line: 1, column: 1 },
        value: Value::Map(Vec::new()),
    };
    Some(builder.root.unwrap_or(empty))
}

struct Builder<'a, 'f> {
    parser: Parser<'a, StrInput<'a>>,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    faults: &'f mut Vec<Fault>,
}

/// A collection whose end was not met yet.
enum Open {
    List {
        at: Position,
        items: Vec<Node>,
    },
    Map {
        at: Position,
        entries: Vec<Entry>,
        seen: HashSet<String>,
        key: Key,
    },
}

/// What the next node of a mapping is.
enum Key {
    /// A key.
    Awaited,
    /// The value of this one.
    Read { key: String, at: Position },
    /// The value of a key that was refused: read, and forgotten.
    Refused,
}

impl Builder<'_, '_> {
    fn run(&mut self) -> Option<()> {
        while let Some(event) = self.parser.next_event() {
            let (event, span) = match event {
                Ok(event) => event,
                Err(error) => {
                    let at = position(*error.marker());
                    self.refuse(at, format!("not YAML: {}", error.info()));
                    return None;
                }
            };
            let at = position(span.start);
            match event {
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
                Event::DocumentStart(_) => {
                    self.documents += 1;
                    if self.documents > 1 {
                        self.refuse(at, "a second document begins here; one file is one mesh".into());
                        return None;
                    }
                }
                Event::Alias(_) => {
                    self.refuse(at, "aliases are not supported; write the value out".into());
                    self.place(Node {
                        at,
                        value: Value::Plain(String::new()),
                    });
                }
                Event::Scalar(text, style, anchor, tag) => {
                    self.refuse_decoration(at, anchor, tag.is_some());
                    let text = text.into_owned();
                    let plain = style == ScalarStyle::Plain;
                    self.place(Node {
                        at,
                        value: if plain { Value::Plain(text) } else { Value::Quoted(text) },
                    });
                }
                Event::SequenceStart(anchor, tag) => {
                    self.refuse_decoration(at, anchor, tag.is_some());
                    self.open(Open::List { at, items: Vec::new() })?;
                }
                Event::MappingStart(anchor, tag) => {
                    self.refuse_decoration(at, anchor, tag.is_some());
                    let (entries, seen, key) = (Vec::new(), HashSet::new(), Key::Awaited);
                    self.open(Open::Map { at, entries, seen, key })?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.close(),
            }
        }
        Some(())
    }

    fn open(&mut self, collection: Open) -> Option<()> {
        if self.open.len() == MAX_DEPTH {
            let (Open::List { at, .. } | Open::Map { at, .. }) = collection;
            self.refuse(at, format!("nested deeper than {MAX_DEPTH} levels"));
            return None;
        }
        self.open.push(collection);
        Some(())
    }

    fn close(&mut self) {
        let node = match self.open.pop() {
            Some(Open::List { at, items }) => Node {
                at,
                value: Value::List(items),
            },
            Some(Open::Map { at, entries, .. }) => Node {
                at,
                value: Value::Map(entries),
            },
            None => return,
        };
        self.place(node);
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, node: Node) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, seen, key, .. }) => match std::mem::replace(key, Key::Awaited) {
                Key::Read { key, at } => entries.push(Entry { key, at, value: node }),
                Key::Refused => {}
                Key::Awaited => {
                    let at = node.at;
                    let refusal = match node.value {
                        Value::Plain(text) | Value::Quoted(text) if seen.insert(text.clone()) => {
                            *key = Key::Read { key: text, at };
                            return;
                        }
                        Value::Plain(text) | Value::Quoted(text) => format!("the key {text:?} is here twice"),
                        Value::List(_) | Value::Map(_) => "a key must be a word".into(),
                    };
                    *key = Key::Refused;
                    self.refuse(at, refusal);
                }
            },
        }
    }

    fn refuse_decoration(&mut self, at: Position, anchor: usize, tagged: bool) {
        if anchor != 0 {
            self.refuse(at, "anchors are not supported; write the value out".into());
        }
        if tagged {
            self.refuse(at, "tags are not supported".into());
        }
    }

    fn refuse(&mut self, at: Position, reason: String) {
        let path = path_of(&self.open);
        self.faults.push(Fault {
            position: Some(at),
            path,
            reason,
        });
    }
}

/// Where in the document the next node of the innermost collection is.
fn path_of(open: &[Open]) -> String {
    fn extend(parent: Path<'_>, open: &[Open]) -> String {
        let Some((first, rest)) = open.split_first() else {
            return parent.to_string();
        };
        match first {
            Open::List { items, .. } => extend(parent.then(Step::Index(items.len())), rest),
            Open::Map {
                key: Key::Read { key, .. },
                ..
            } => extend(parent.then(Step::Key(key)), rest),
            Open::Map { .. } => extend(parent, rest),
        }
    }
    extend(Path::ROOT, open)
}

/// Ours count columns from 1, the parser's from 0.
fn position(marker: Marker) -> Position {
    Position {
        line: marker.line(),
        column: marker.col() + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let mut faults = Vec::new();
        tree(text, &mut faults);
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_duplicate_key_is_refused_with_its_place() {
        assert_eq!(
            faults("a:\n- b: 1\n- b: 2\n  b: 3\n"),
            ["4:3: a[1]: the key \"b\" is here twice"]
        );
    }

    #[test]
    fn a_second_document_is_refused() {
        assert_eq!(
            faults("a: 1\n---\nb: 2\n"),
            ["2:1: a second document begins here; one file is one mesh"]
        );
    }

    #[test]
    fn anchors_aliases_and_tags_are_refused_all_at_once() {
        let found = faults("a: &x 1\nb: *x\nc: !!str 1\n");
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(
            found[0].contains("anchors") && found[1].contains("aliases") && found[2].contains("tags"),
            "{found:?}"
        );
    }

    #[test]
    fn nesting_is_bounded() {
        for text in ["[".repeat(40), "- ".repeat(100_000), "{a: ".repeat(40)] {
            let found = faults(&text);
            assert!(found[0].contains("nested deeper than 32 levels"), "{found:?}");
        }
        assert_eq!(faults(&"[".repeat(100_000)).len(), 1);
    }

    #[test]
    fn what_is_not_yaml_names_the_place() {
        let found = faults("a: [1, 2\nb: 3\n");
        assert!(found[0].starts_with("2:") && found[0].contains("not YAML"), "{found:?}");
    }

    #[test]
    fn nothing_at_all_is_an_empty_mapping() {
        for text in ["", "\n\n", "# only a remark\n", "---\n"] {
            let mut faults = Vec::new();
            let node = tree(text, &mut faults).expect("a tree");
            assert!(faults.is_empty());
            let empty = match node.value {
                Value::Map(entries) => entries.is_empty(),
                Value::Plain(text) => text.is_empty(),
                _ => false,
            };
            assert!(empty, "{text:?}");
        }
    }
}
