//! The log: one line for each event, to stderr.

use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;

/// The words that stand alone.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Begins the log of the process. `directive` is a level, or several as in `info,evenkeel_control_api::serve=debug`.
pub(crate) fn install(directive: &str) -> Result<(), String> {
    let filter = filter(directive)?;
    tracing_subscriber::fmt()
        .compact()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .try_init()
        .map_err(|error| error.to_string())
}

/// What the directive lets through, if it is one.
pub(crate) fn filter(directive: &str) -> Result<EnvFilter, String> {
    let refused = |reason: String| format!("`{directive}` is not a log level: {reason}");
    for part in directive.split(',').map(str::trim) {
        // The library takes a misspelt level for the name of a module, and would log nothing else from then on.
        if !part.contains(['=', '[']) && !LEVELS.contains(&part.to_ascii_lowercase().as_str()) {
            let reason = format!("`{part}` should be one of {}, or MODULE=LEVEL", LEVELS.join(", "));
            return Err(refused(reason));
        }
    }
    let filter = EnvFilter::try_new(directive).map_err(|error| refused(error.to_string()))?;
    // It says of each attempt what our watches say where a failure begins and ends.
    let quiet = "kube_client=off".parse().expect("a directive");
    Ok(if directive.contains("kube_client") {
        filter
    } else {
        filter.add_directive(quiet)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_level_is_refused() {
        assert!(filter("info,evenkeel_control_api=debug").is_ok());
        for bad in ["inof", "", "info,", "evenkeel=loud"] {
            let reason = filter(bad).unwrap_err();
            assert!(reason.starts_with(&format!("`{bad}` is not a log level: ")), "{reason}");
        }
    }
}
