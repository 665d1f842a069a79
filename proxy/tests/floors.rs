//! Holds the house up: a module uses only modules of the floors below its own, and no file outgrows a reading.
//!
//! A floor is a run of `pub mod` lines in `lib.rs` under one `//` comment (rustfmt sorts within it). Neighbours on one
//! floor do not know each other.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// Lines of a file that a reader still takes in.
const LONGEST: usize = 500;

#[test]
fn imports_point_down() {
    let src = src();
    let floors = floors(&fs::read_to_string(src.join("lib.rs")).unwrap());
    assert!(
        floors.values().max() > Some(&3),
        "lib.rs is not read as it is written: {floors:?}"
    );

    let mut upward = Vec::new();
    for file in sources(&src) {
        let inside = file.strip_prefix(&src).unwrap();
        let module = module(inside);
        let Some(own) = floors.get(module.as_str()) else {
            assert!(
                ["lib", "main", "app", "cli"].contains(&module.as_str()),
                "{module} stands on no floor"
            );
            continue;
        };
        for (number, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
            for name in uses(line) {
                let below = floors.get(name.as_str()).is_some_and(|used| used < own);
                if !below && name != module {
                    upward.push(format!("{}:{}: {}", inside.display(), number + 1, line.trim()));
                }
            }
        }
    }
    assert!(
        upward.is_empty(),
        "imports that do not point down:\n{}",
        upward.join("\n")
    );
}

#[test]
fn no_file_outgrows_a_reading() {
    let long: Vec<_> = sources(&src())
        .into_iter()
        .map(|file| (fs::read_to_string(&file).unwrap().lines().count(), file))
        .filter(|(lines, _)| *lines > LONGEST)
        .collect();
    assert!(long.is_empty(), "more than {LONGEST} lines: {long:?}");
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Modules by the number of their floor, from the bottom.
fn floors(lib: &str) -> HashMap<String, usize> {
    let mut floors = HashMap::new();
    let mut height = 0;
    let mut before = "";
    for line in lib.lines().map(str::trim) {
        if line.starts_with("// ") && !before.starts_with("// ") {
            height += 1;
        } else if let Some(module) = line.trim_start_matches("pub ").strip_prefix("mod ") {
            floors.insert(module.trim_end_matches(';').to_owned(), height);
        }
        before = line;
    }
    floors
}

/// The module of the first level that a file belongs to.
fn module(inside: &Path) -> String {
    let first = inside.iter().next().and_then(|part| part.to_str()).unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The modules of the first level that a line names. A list in braces would hide them, from us and from readers: it counts
/// as a module without a name, which stands on no floor.
fn uses(line: &str) -> impl Iterator<Item = String> {
    line.match_indices("crate::").map(|(at, found)| {
        let name = line[at + found.len()..].chars();
        name.take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    })
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
