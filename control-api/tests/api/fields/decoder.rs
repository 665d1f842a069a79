//! The source of the decoders, and what names mean in it.

use regex::Regex;
use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// Where the generated types begin.
const GENERATED: &str = "envoy_types::pb::";

/// One file of `src/resource/`, without tests and comments.
pub(super) struct Decoder {
    /// Such as `listener/http.rs`.
    pub(super) file: String,
    pub(super) text: String,
    imports: HashMap<String, String>,
}

/// A function that takes messages apart.
pub(super) struct Function<'a> {
    pub(super) name: &'a str,
    /// What stands behind the place that it was looked for from.
    pub(super) rest: &'a str,
}

/// All of them, in the order of their names.
pub(super) fn decoders() -> Vec<Decoder> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/resource");
    let (mut folders, mut files) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    let decoder = |path: &std::path::PathBuf| {
        let file = path.strip_prefix(&root).expect("below the root").display().to_string();
        Decoder::new(file, &fs::read_to_string(path).expect("a file of text"))
    };
    files.iter().map(decoder).collect()
}

impl Decoder {
    fn new(file: String, source: &str) -> Self {
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let text: String = lines.flat_map(|line| [line, "\n"]).collect();
        let import = expression(r"(?m)^use ([\w:#]+?)(?: as (\w+))?;$");
        let imports = import.captures_iter(&text).map(|found| {
            let path = found[1].to_owned();
            let last = path.rsplit("::").next().unwrap_or_default().to_owned();
            (found.get(2).map_or(last, |name| name.as_str().to_owned()), path)
        });
        let imports = imports.collect();
        Self { file, text, imports }
    }

    /// The path of a generated type, without what all of them have in front; `None`: it is none.
    pub(super) fn generated(&self, name: &str) -> Option<String> {
        let mut path = name.to_owned();
        while !path.starts_with(GENERATED) {
            let (first, rest) = path
                .split_once("::")
                .map_or((path.as_str(), None), |(first, rest)| (first, Some(rest)));
            let import = self.imports.get(first)?;
            let longer = rest.map_or(import.clone(), |rest| format!("{import}::{rest}"));
            if longer == path {
                return None;
            }
            path = longer;
        }
        Some(path[GENERATED.len()..].replace("r#", ""))
    }

    /// The function around a place.
    pub(super) fn function(&self, place: usize) -> Function<'_> {
        let head = expression(r"(?m)^( *)(?:pub(?:\([a-z]+\))? )?fn (\w+)");
        let found = head
            .captures_iter(&self.text[..place])
            .last()
            .expect("code stands in functions");
        let (indent, name) = (found.get(1).expect("a group"), found.get(2).expect("a group"));
        let rest = &self.text[place..];
        let end = rest.find(&format!("\n{}}}\n", indent.as_str())).expect("functions end");
        Function {
            name: name.as_str(),
            rest: &rest[..end],
        }
    }
}

/// The name of a message in protocol buffers: modules behind the version are the messages that it is nested in.
pub(super) fn full_name(path: &str) -> String {
    let mut segments = path.split("::").collect::<Vec<_>>();
    let last = segments.pop().unwrap_or_default();
    let mut nested = false;
    let mut name = String::new();
    for segment in segments {
        let written = if nested { camel(segment) } else { segment.to_owned() };
        nested |= segment.starts_with('v') && segment[1..].starts_with(|letter: char| letter.is_ascii_digit());
        name.push_str(&written);
        name.push('.');
    }
    name + last
}

fn camel(snake: &str) -> String {
    let words = snake.split('_').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    words.collect()
}

/// `PathMatchPolicy` is `path_match_policy`.
pub(super) fn snake(camel: &str) -> String {
    let mut snake = String::new();
    for letter in camel.trim_end_matches('_').chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// An expression about code. The `regex` crate is built without Unicode's tables, which `\w`, `\s` and `\b` would need.
pub(super) fn expression(text: &str) -> Regex {
    let text = text
        .replace(r"\w", "[A-Za-z0-9_]")
        .replace(r"\s", r"[ \n]")
        .replace(r"\b", r"(?-u:\b)");
    Regex::new(&text).expect("an expression")
}
