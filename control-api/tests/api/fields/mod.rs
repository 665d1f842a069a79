//! `docs/xds-fields.md`: for each message that is decoded, what becomes of each field. The decoders say so, and the page is read out
//! of them: they take messages apart by name, and what they do not use goes to `refuse_set!` or `note_set!`.

mod before;
mod behaviour;
mod choice;
mod decoder;
mod filters;
mod message;
mod page;
mod remarks;
mod wire;

use evenkeel_control_api::mesh;
use message::Message;
use message::messages;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// What becomes of a field that is set.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Treatment {
    /// It is done.
    Used,
    /// It is done, or taken, with this restriction.
    Partly(String),
    /// It has no effect, which is said.
    Noted,
    /// The resource is refused.
    Refused,
    /// It has no effect because there is nothing to do.
    PassedOver,
}

fn page_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/xds-fields.md")
}

fn page_of_the_code() -> String {
    page::page(&messages(&decoder::decoders()), mesh::FIELDS)
}

fn find<'a>(messages: &'a [Message], name: &str) -> &'a Message {
    let found = messages.iter().find(|message| message.name == name);
    found.unwrap_or_else(|| panic!("no message {name}"))
}

#[test]
fn the_page_says_what_the_code_does() {
    let written = fs::read_to_string(page_path()).unwrap_or_default();
    let expected = page_of_the_code();
    let differing = expected.lines().zip(written.lines()).find(|(code, page)| code != page);
    assert!(
        written == expected,
        "docs/xds-fields.md is not what the code does, first in {differing:?}. This writes it anew:\n\
         cargo test -p evenkeel-control-api --test api fields::the_page_is_written_anew -- --ignored"
    );
}

#[test]
#[ignore = "writes docs/xds-fields.md"]
fn the_page_is_written_anew() {
    fs::write(page_path(), page_of_the_code()).expect("the page can be written");
}

#[test]
fn every_message_is_taken_apart_as_a_whole() {
    let messages = messages(&decoder::decoders());
    assert!(messages.len() > 60, "only {} messages were found", messages.len());
    let in_part: Vec<_> = messages.iter().filter(|message| message.in_part).collect();
    let names: Vec<_> = in_part.iter().map(|message| message.name.as_str()).collect();
    assert_eq!(names, [""; 0]);
}

#[test]
fn treatments_are_read_as_the_decoders_mean_them() {
    let messages = messages(&decoder::decoders());
    let partly = |words: &str| Treatment::Partly(words.to_owned());
    for (message, field, expected) in [
        ("envoy.config.listener.v3.Listener", "name", Treatment::Used),
        ("envoy.config.listener.v3.Listener", "freebind", Treatment::Refused),
        ("envoy.config.listener.v3.Listener", "stat_prefix", Treatment::Noted),
        ("envoy.config.listener.v3.Listener", "transparent", partly("not `true`")),
        ("envoy.config.listener.v3.ListenerFilter", "name", Treatment::PassedOver),
        ("envoy.config.cluster.v3.Cluster", "health_checks", Treatment::Noted),
        ("envoy.config.cluster.v3.Cluster", "cluster_type", Treatment::Refused),
        ("envoy.config.cluster.v3.Cluster", "load_assignment", Treatment::Used),
        ("envoy.config.route.v3.Route", "match", Treatment::Used),
        (
            "envoy.config.route.v3.RouteMatch",
            "path_match_policy",
            Treatment::Refused,
        ),
        (
            "envoy.config.route.v3.RouteAction",
            "auto_host_rewrite",
            partly("not `true`"),
        ),
    ] {
        let fields = &find(&messages, message).fields;
        let found = fields.iter().find(|(name, _)| name == field);
        assert_eq!(
            found.map(|(_, treatment)| treatment),
            Some(&expected),
            "{message}.{field}"
        );
    }
}
