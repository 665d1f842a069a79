//! The messages that are taken apart, and what becomes of their fields.

use super::Treatment;
use super::choice;
use super::decoder::Decoder;
use super::decoder::Function;
use super::decoder::expression;
use super::decoder::full_name;
use super::remarks;
use regex::Captures;
use regex::Regex;
use std::sync::LazyLock;

/// What the decoders write, as `rustfmt` leaves it.
type Expression = LazyLock<Regex>;

/// A pattern, which is followed by what it is compared with.
static PATTERN: Expression = LazyLock::new(|| expression(r"\b((?:\w+::)*[A-Z]\w*) \{([^{}]*)\}[\s,)]*(?:=|in |if )"));
static CALLS: Expression = LazyLock::new(|| expression(r"\b(refuse_set|note_set|not_yet)!\(report;([^)]*)\)"));
static IFS: Expression = LazyLock::new(|| expression(r#"\b(refuse|note)_if_set\("\w+", &([\w#]+)\)"#));
static NOTED: Expression = LazyLock::new(|| expression(r#"note_field\(\s*"(\w+)""#));
static NOT_TRUE: Expression = LazyLock::new(|| expression(r#"refuse_field\(\s*"(\w+)",\s*"cannot be true""#));
static REFUSE_TRUE: Expression = LazyLock::new(|| expression(r#"refuse_true\(\s*"(\w+)""#));
static NOT_FALSE: Expression = LazyLock::new(|| expression(r#"refuse_field\(\s*"(\w+)",\s*"cannot be false""#));
static NO_LIMIT: Expression = LazyLock::new(|| expression(r#"refuse_limit\(\s*"(\w+)""#));
static FILTERS: Expression = LazyLock::new(|| expression(r"refuse_filters\((\w+)\b"));
static TEXT: Expression = LazyLock::new(|| expression(r#""[^"]*""#));
static WORD: Expression = LazyLock::new(|| expression(r"[\w#]+"));

/// A message, where it is decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// Such as `envoy.config.route.v3.RouteAction`.
    pub(super) name: String,
    /// Whose, where a message is decoded in several ways.
    pub(super) whose: &'static str,
    /// The first file that decodes it.
    pub(super) file: String,
    /// In the order of the message.
    pub(super) fields: Vec<(String, Treatment)>,
    /// There is a `..`.
    pub(super) in_part: bool,
}

/// Every message that the decoders take apart.
pub(super) fn messages(decoders: &[Decoder]) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    for message in decoders.iter().flat_map(taken_apart) {
        let same = |known: &Message| known.name == message.name && known.fields == message.fields;
        if !messages.iter().any(same) {
            messages.push(message);
        }
    }
    let names: Vec<String> = messages.iter().map(|message| message.name.clone()).collect();
    for message in &mut messages {
        if names.iter().filter(|name| **name == message.name).count() == 1 {
            message.whose = "";
        }
    }
    choice::add(&mut messages, decoders);
    remarks::add(&mut messages);
    messages
}

fn taken_apart(decoder: &Decoder) -> Vec<Message> {
    let mut messages = Vec::new();
    for found in PATTERN.captures_iter(&decoder.text) {
        let (path, list) = (&found[1], found.get(2).expect("a group"));
        let Some(path) = decoder.generated(path).filter(|path| path.starts_with("envoy::")) else {
            continue;
        };
        let function = decoder.function(list.end());
        let names = || list.as_str().split(',').map(str::trim).filter(|name| !name.is_empty());
        let fields = names().filter(|name| *name != "..").map(|name| field(name, &function));
        messages.push(Message {
            name: full_name(&path),
            whose: whose(&decoder.file, function.name),
            file: decoder.file.clone(),
            fields: fields.collect(),
            in_part: names().any(|name| name == ".."),
        });
    }
    messages
}

fn whose(file: &str, function: &str) -> &'static str {
    match file.split(['/', '.']).next() {
        Some("cluster") => "of clusters",
        Some("listener") => "of listeners",
        _ if function == "towards_endpoints" => "of clusters",
        _ => "of listeners",
    }
}

fn field(pattern: &str, function: &Function<'_>) -> (String, Treatment) {
    let (name, binding) = pattern.split_once(": ").unwrap_or((pattern, pattern));
    let name = name.trim_start_matches("r#");
    let treatment = if binding == "_" {
        Treatment::PassedOver
    } else if binding.contains('(') {
        Treatment::Used
    } else {
        treatment(name, binding, function.rest)
    };
    (name.to_owned(), treatment)
}

/// What a function does with a field that it calls `binding`.
fn treatment(field: &str, binding: &str, function: &str) -> Treatment {
    if let Some(words) = part(field, binding, function) {
        return Treatment::Partly(words);
    }
    let named = |call: &Captures<'_>| call[2].split(',').any(|name| name.trim() == binding);
    let mut refused = None;
    for call in CALLS
        .captures_iter(function)
        .chain(IFS.captures_iter(function))
        .filter(named)
    {
        refused = Some(call[1].starts_with("refuse"));
    }
    if NOTED.captures_iter(function).any(|call| &call[1] == field) {
        return Treatment::Noted;
    }
    let others = IFS.replace_all(function, "");
    let others = CALLS.replace_all(&others, "");
    let others = TEXT.replace_all(&others, "");
    let is_used = WORD.find_iter(&others).any(|word| word.as_str() == binding);
    match refused.filter(|_| !is_used) {
        Some(true) => Treatment::Refused,
        Some(false) => Treatment::Noted,
        None => Treatment::Used,
    }
}

/// With which restriction a field is taken.
fn part(field: &str, binding: &str, function: &str) -> Option<String> {
    let of_field = |calls: &Regex| calls.captures_iter(function).any(|call| &call[1] == field);
    if of_field(&NOT_TRUE) || of_field(&REFUSE_TRUE) {
        return Some("not `true`".to_owned());
    }
    if of_field(&NOT_FALSE) {
        return Some("not `false`".to_owned());
    }
    if of_field(&NO_LIMIT) {
        return Some("0 only".to_owned());
    }
    let filters = FILTERS.captures_iter(function).any(|call| &call[1] == binding);
    filters.then(|| "noted where a filter may be missing or is disabled, else refused".to_owned())
}
