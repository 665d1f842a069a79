//! The page.

use super::Treatment;
use super::filters;
use super::message::Message;
use std::fmt::Write;

const WIDTH: usize = 150;

const HEAD: &str = "\
# The fields of xDS

What becomes of each field of each message, where it is set. This page is read out of the decoders, and a test compares it with them; it is not
written by hand. `control-api/tests/api/fields/` has the test, which says how to write the page anew.

- **Used**: it does what it does in Envoy. **In part**: with the restriction that is said; of a limit, 0 is none.
- **Noted**: it has no effect, or none yet. The resource is taken; it is counted (`evenkeel_xds_ignored_fields`), and `/config_dump` names it.
- **Refused**: the resource is refused with the field's path, and its last good version stays. What would change where traffic goes or
  who may send it is refused.
- **Passed over**: nothing is to be done for it.

Of fields that exclude each other (`oneof`) each is listed for itself, or their choice where that is one for all. Messages inside of what is noted or
refused, and plain values such as a percentage, are not listed. A message that holds a field which the generated types do not know is refused, and so is a
used field with a value that its enum does not have. Values have bounds besides, which the refusal names.

";

/// Where messages are decoded, and what a reader calls it.
const PARTS: [(&str, &str); 5] = [
    ("listener", "Listeners"),
    ("route", "Routes"),
    ("cluster", "Clusters"),
    ("endpoint", "Endpoints"),
    ("", "In several of them"),
];

/// Filters are known by the packages of their configurations.
const FILTERS: &str = "
## HTTP filters

In a listener, and on routes (`typed_per_filter_config`), by NAME in the type `envoy.extensions.filters.http.NAME` of the configuration. One
that is `disabled` is noted, whichever it is.

";

/// Writes it.
pub(super) fn page(messages: &[Message], version: u32) -> String {
    let mut page = HEAD.to_owned();
    let number = format!(
        "This is version {version} of the table, which proxies tell in `evenkeel.fields` of their node's metadata."
    );
    page.push_str(&number);
    page.push('\n');
    for (folder, title) in PARTS {
        let _ = write!(page, "\n## {title}\n");
        let mut here: Vec<_> = messages.iter().filter(|message| folder_of(message) == folder).collect();
        // The resource itself first.
        here.sort_by_key(|message| !message.file.ends_with("/decode.rs"));
        for message in here {
            section(message, &mut page);
        }
    }
    filters(&mut page);
    page
}

fn filters(page: &mut String) {
    let names = |list| -> Vec<_> { filters::named(list).iter().map(|name| quoted(name)).collect() };
    page.push_str(FILTERS);
    line("Used", &["`router`, which ends the list".to_owned()], page);
    line("Noted", &names("HARMLESS"), page);
    line(
        "Refused, also where they may be missing, for requests must not pass without them",
        &names("GUARDS"),
        page,
    );
    line(
        "Refused",
        &["all others, unless they are `is_optional`: then they are noted".to_owned()],
        page,
    );
}

fn folder_of(message: &Message) -> &'static str {
    let first = message.file.split(['/', '.']).next();
    let found = PARTS.iter().find(|(folder, _)| Some(*folder) == first);
    found.map_or("", |(folder, _)| folder)
}

fn section(message: &Message, page: &mut String) {
    let whose = if message.whose.is_empty() {
        String::new()
    } else {
        format!(", {}", message.whose)
    };
    let _ = write!(page, "\n### {}{whose}\n\n", message.name);
    if message.fields.is_empty() {
        page.push_str("It has no fields.\n");
    }
    let named = |wanted: Treatment| {
        let fields = message.fields.iter().filter(move |(_, treatment)| *treatment == wanted);
        fields.map(|(field, _)| quoted(field)).collect::<Vec<_>>()
    };
    line("Used", &named(Treatment::Used), page);
    let partly = message.fields.iter().filter_map(|(field, treatment)| match treatment {
        Treatment::Partly(words) => Some(format!("{} ({words})", quoted(field))),
        _ => None,
    });
    line("In part", &partly.collect::<Vec<_>>(), page);
    line("Noted", &named(Treatment::Noted), page);
    line("Refused", &named(Treatment::Refused), page);
    line("Passed over", &named(Treatment::PassedOver), page);
    if message.in_part {
        page.push_str("- Noted: all other fields, with the message\n");
    }
}

/// `every other NAME` is no field's name.
fn quoted(field: &str) -> String {
    match field.strip_prefix("every other ") {
        Some(choice) => format!("every other `{choice}`"),
        None => format!("`{field}`"),
    }
}

fn line(word: &str, fields: &[String], page: &mut String) {
    if fields.is_empty() {
        return;
    }
    let mut line = format!("- {word}:");
    let list = fields.join(", ");
    for word in list.split(' ') {
        if line.len() + 1 + word.len() > WIDTH {
            page.push_str(&line);
            page.push('\n');
            line.clear();
            line.push(' ');
        }
        line.push(' ');
        line.push_str(word);
    }
    page.push_str(&line);
    page.push('\n');
}
