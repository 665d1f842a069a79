//! What the pages of documentation say that a machine can check: links, files, commands, ports, examples and tables.
//!
//! The example of `docs/mesh-document.md` and the rules of `docs/redirection.md` are checked where their subject is.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::Result;
use evenkeel_control_api::mesh;
use evenkeel_control_api::xds;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(name: &str) -> Result<String> {
    std::fs::read_to_string(root().join(name)).with_context(|| name.to_owned())
}

/// Every file and folder of the workspace, by its path from the root; not what a build makes.
fn tree() -> Result<Vec<String>> {
    let (mut found, mut folders) = (Vec::new(), vec![String::new()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder))? {
            let entry = entry?;
            let name = entry.file_name().into_string().ok().context("a name in UTF-8")?;
            if ["target", ".git"].contains(&name.as_str()) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                folders.push(format!("{folder}{name}/"));
                found.push(format!("/{folder}{name}/"));
            } else {
                found.push(format!("/{folder}{name}"));
            }
        }
    }
    Ok(found)
}

/// Every file with this extension: its path from the root, and its text.
fn files(extension: &str) -> Result<Vec<(String, String)>> {
    let paths = tree()?.into_iter().map(|path| path[1..].to_owned());
    let paths = paths.filter(|path| Path::new(path).extension().is_some_and(|found| found == extension));
    paths.map(|path| Ok((path.clone(), read(&path)?))).collect()
}

/// Every page, by its path from the root.
fn pages() -> Result<Vec<(String, String)>> {
    let pages = files("md")?;
    assert!(pages.len() >= 8, "{pages:?}");
    Ok(pages)
}

/// What stands between `from` and `to`.
fn between<'a>(text: &'a str, from: &str, to: &str) -> Result<&'a str> {
    let (_, rest) = text.split_once(from).with_context(|| from.to_owned())?;
    let (inside, _) = rest.split_once(to).with_context(|| to.to_owned())?;
    Ok(inside)
}

/// What stands in backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_link_leads_somewhere() -> Result<()> {
    let mut broken = Vec::new();
    let mut links = 0;
    for (page, text) in pages()? {
        let folder = root().join(&page).parent().map(Path::to_owned).context("a folder")?;
        for rest in text.split("](").skip(1) {
            let link = rest.split([')', '#']).next().unwrap_or_default();
            links += 1;
            if !link.starts_with("http") && !folder.join(link).exists() {
                broken.push(format!("{page}: {link}"));
            }
        }
    }
    assert!(links >= 15, "only {links} links were found");
    assert_eq!(broken, Vec::<String>::new());
    Ok(())
}

#[test]
fn every_page_is_linked_from_the_readme() -> Result<()> {
    let readme = read("README.md")?;
    for (page, _) in pages()? {
        assert!(page == "README.md" || readme.contains(&format!("]({page})")), "{page}");
    }
    Ok(())
}

#[test]
fn every_file_and_folder_that_is_named_exists() -> Result<()> {
    let tree = tree()?;
    let (mut missing, mut named) = (Vec::new(), 0);
    for (page, text) in pages()? {
        let is_path = |letter: char| letter.is_ascii_alphanumeric() || "_-./".contains(letter);
        for name in text.split(|letter| !is_path(letter)) {
            let begins = name.starts_with(|letter: char| letter.is_ascii_alphanumeric());
            if !begins || ![".rs", ".proto", "/"].iter().any(|end| name.ends_with(end)) {
                continue;
            }
            named += 1;
            if !tree.iter().any(|path| path.ends_with(&format!("/{name}"))) {
                missing.push(format!("{page}: {name}"));
            }
        }
    }
    assert!(named >= 50, "only {named} names were found");
    assert_eq!(missing, Vec::<String>::new());
    Ok(())
}

#[test]
fn every_make_command_is_a_target() -> Result<()> {
    let makefile = read("Makefile")?;
    let mut commands = 0;
    for (page, text) in pages()? {
        let in_blocks = text.lines().filter_map(|line| line.strip_prefix("    "));
        for command in quoted(&text.replace("```", "")).chain(in_blocks) {
            let Some(rest) = command.strip_prefix("make ") else {
                continue;
            };
            commands += 1;
            let target = rest.split_whitespace().next().unwrap_or_default();
            assert!(makefile.contains(&format!("\n{target}:")), "{page}: make {target}");
        }
    }
    assert!(commands >= 8, "only {commands} commands were found");
    Ok(())
}

#[test]
fn the_first_thing_in_the_readme_is_how_to_see_it() -> Result<()> {
    let readme = read("README.md")?;
    let commands: Vec<_> = readme
        .lines()
        .filter(|line| line.starts_with("    make "))
        .take(2)
        .collect();
    assert!(
        commands[0].starts_with("    make demo") && commands[1].starts_with("    make test"),
        "{commands:?}"
    );
    Ok(())
}

#[test]
fn the_table_in_the_readme_is_one_that_the_demo_prints() -> Result<()> {
    let readme = read("README.md")?;
    let table = between(&readme, "```text\n", "```")?;
    let sources = ["measure", "follow", "report"].map(|name| read(&format!("tests/src/bin/demo/{name}.rs")));
    let demo: String = sources.into_iter().collect::<Result<_>>()?;
    let lines: Vec<_> = table.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), 16, "{table}");
    for line in lines {
        // Columns are as wide as the demo makes them; the legend has none.
        let label = line.get(..30).filter(|_| line.contains('%') || line.ends_with("ms"));
        let text = label.unwrap_or(line.split("   ").next().unwrap_or_default()).trim_end();
        assert!(demo.contains(text), "{text}");
    }
    Ok(())
}

#[test]
fn the_example_in_the_readme_is_a_mesh_document() -> Result<()> {
    let readme = read("README.md")?;
    let document = mesh::parse(between(&readme, "```yaml\n", "```")?)?;
    let (resources, notes) = xds::decode(&mesh::translate(&document))?;
    assert_eq!((resources.assignments[0].endpoints.len(), notes.len()), (2, 0));
    Ok(())
}

#[test]
fn the_example_of_a_control_plane_is_read() -> Result<()> {
    let page = read("docs/control-plane.md")?;
    let document = mesh::parse(between(&page, "```yaml\n", "```")?)?;
    assert!(document.settings().control_plane.is_some());
    Ok(())
}

#[test]
fn the_example_of_tracing_is_read() -> Result<()> {
    let page = read("docs/tracing.md")?;
    let document = mesh::parse(between(&page, "```yaml\n", "```")?)?;
    assert!(document.settings().tracing.is_some());
    Ok(())
}

#[test]
fn the_ports_are_those_of_an_empty_mesh_document() -> Result<()> {
    let document = mesh::parse("")?;
    let settings = document.settings();
    let (readme, architecture) = (read("README.md")?, read("ARCHITECTURE.md")?);
    for (addresses, words) in [
        (
            &settings.outbound,
            ["outbound traffic", "what the application connects to"],
        ),
        (
            &settings.inbound,
            ["inbound traffic", "what others connect to in this pod"],
        ),
        (&settings.admin, ["/config_dump", "the operator's door"]),
        (&settings.telemetry, ["/metrics", "/metrics"]),
    ] {
        let ports: BTreeSet<_> = addresses.iter().map(SocketAddr::port).collect();
        assert_eq!(ports.len(), 1, "{addresses:?}");
        for (page, words) in [&readme, &architecture].into_iter().zip(words) {
            let said = ports.iter().all(|port| {
                let row = format!("| {port} |");
                page.lines().any(|line| line.starts_with(&row) && line.contains(words))
            });
            assert!(said, "{ports:?}: {words}");
        }
    }
    Ok(())
}

#[test]
fn the_floors_are_those_of_the_code() -> Result<()> {
    let (architecture, lib) = (read("ARCHITECTURE.md")?, read("proxy/src/lib.rs")?);
    let block = between(between(&architecture, "## Floors", "## ")?, "```text\n", "```")?;
    let names = |floor: &str| floor.split(", ").map(str::to_owned).collect::<BTreeSet<_>>();
    let drawn: Vec<_> = block
        .lines()
        .map(|line| names(line.split("  ").next().unwrap_or_default()))
        .collect();

    let floors = lib.split("\n// ").skip(1).map(|floor| {
        let modules = floor.lines().filter_map(|line| line.strip_prefix("pub mod "));
        modules.map(|module| module.trim_end_matches(';').to_owned()).collect()
    });
    let mut built: Vec<BTreeSet<_>> = floors.collect();
    built.reverse();
    assert_eq!(drawn, built);
    Ok(())
}

#[test]
fn every_dependency_that_the_code_uses_has_its_reason() -> Result<()> {
    let (architecture, manifest) = (read("ARCHITECTURE.md")?, read("Cargo.toml")?);
    let table = between(&architecture, "## Why these dependencies", "\n## ")?;
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let explained: BTreeSet<_> = rows
        .flat_map(|row| quoted(row.split(" | ").next().unwrap_or_default()))
        .collect();

    let sources = files("rs")?;
    let declared = between(&manifest, "# theirs\n", "\n[")?
        .lines()
        .filter_map(|line| line.split_once(" = "));
    let used: BTreeSet<_> = declared
        .map(|(name, _)| name)
        .filter(|name| sources.iter().any(|(_, source)| uses(source, &name.replace('-', "_"))))
        .collect();
    assert_eq!(explained, used);
    Ok(())
}

#[test]
fn every_behaviour_has_tests_and_every_test_that_is_named_exists() -> Result<()> {
    let page = read("docs/behaviours.md")?;
    let rows = page.lines().filter_map(|line| line.strip_prefix("| "));
    let rows: Vec<(u32, &str)> = rows
        .filter_map(|row| {
            let (number, rest) = row.split_once(" | ")?;
            Some((number.parse().ok()?, rest))
        })
        .collect();
    let numbers: Vec<u32> = rows.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=33).collect::<Vec<_>>());

    let mut missing = Vec::new();
    for (number, row) in rows {
        let tests: Vec<_> = quoted(row).filter_map(|name| name.split_once("::")).collect();
        assert!(!tests.is_empty() || row.contains("not yet: "), "{number}");
        for (file, test) in tests {
            let source = read(&format!("proxy/tests/{file}")).or_else(|_| read(&format!("tests/tests/{file}")));
            let declared = format!("#[test]\nfn {test}() ");
            if !source.is_ok_and(|source| source.contains(&declared)) {
                missing.push(format!("{number}: {file}::{test}"));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
    Ok(())
}

/// Whether a source names something of this crate: `name::`, at the beginning of a path.
fn uses(source: &str, name: &str) -> bool {
    let path = format!("{name}::");
    source.match_indices(&path).any(|(at, _)| {
        let before = source[..at].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_' || letter == ':')
    })
}
