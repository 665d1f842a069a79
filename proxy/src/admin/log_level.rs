//! `/log-level`: what is logged, by module. PUT says all of it anew, POST changes what it names and leaves the rest.

use super::Door;
use crate::telemetry::log;
use crate::telemetry::log::LogError;
use serde_json::Value;
use serde_json::json;

/// For programs.
pub(super) fn json(directive: &str) -> Value {
    let parts = directive.split(',').filter(|_| !directive.contains('['));
    let modules: Vec<_> = parts
        .map(|part| match part.split_once('=') {
            Some((module, level)) => json!({ "module": module, "level": level }),
            None => json!({ "module": null, "level": part }),
        })
        .collect();
    json!({ "directive": directive, "modules": modules })
}

/// Logs this from now on, and nothing else.
pub(super) fn replace(door: &Door, directive: &str) -> Result<(), LogError> {
    put(door, directive)
}

/// Logs what is named as it is said, and the rest as before.
pub(super) fn change(door: &Door, change: &str) -> Result<(), LogError> {
    let before = door.log.directive();
    // A misspelt part is refused by its own name, not among those that were good before.
    let refused = match log::check(change) {
        Err(error) => Some(error),
        Ok(()) if before.contains('[') || change.contains('[') => Some(LogError::Directive {
            directive: change.to_owned(),
            reason: "directives of spans can only be replaced, with PUT".to_owned(),
        }),
        Ok(()) => None,
    };
    match refused {
        Some(error) => Err(error),
        None => put(door, &merged(&before, change)),
    }
}

fn put(door: &Door, directive: &str) -> Result<(), LogError> {
    let before = door.log.directive();
    door.log.set(directive)?;
    tracing::info!(before, now = directive, "the log level was changed");
    Ok(())
}

/// Both directives in one, in which `change` is the stronger.
fn merged(before: &str, change: &str) -> String {
    let module = |part: &str| part.split_once('=').map(|(module, _)| module.trim().to_owned());
    let mut parts: Vec<_> = before.split(',').map(str::trim).collect();
    for new in change.split(',').map(str::trim) {
        parts.retain(|old| module(old) != module(new));
        parts.push(new);
    }
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_replaces_what_it_names_and_leaves_the_rest() {
        assert_eq!(merged("info", "a::b=debug"), "info,a::b=debug");
        assert_eq!(
            merged("info,a::b=debug,c=warn", "a::b=trace,error"),
            "c=warn,a::b=trace,error"
        );
    }
}
