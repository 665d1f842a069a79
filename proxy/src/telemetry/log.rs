//! The log: one line for each event, to stderr, with a level that can be changed while the process runs.

use std::io;
use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::Registry;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;

/// The words that stand alone.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Changes what is logged.
#[derive(Clone, Debug)]
pub struct LogHandle(reload::Handle<EnvFilter, Registry>);

/// Why a directive is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// It cannot be read.
    #[error("`{directive}` is not a log level: {reason}")]
    Directive {
        /// As it was given.
        directive: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// There is a log already.
    #[error("the process has a log already")]
    Installed,
}

/// Begins the log of the process. `directive` is a level, or several as in `info,evenkeel_proxy::control=debug`.
pub fn install(directive: &str) -> Result<LogHandle, LogError> {
    let (subscriber, handle) = subscriber(directive)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Installed)?;
    Ok(handle)
}

impl LogHandle {
    /// What is logged now.
    pub fn directive(&self) -> String {
        self.0.with_current(ToString::to_string).unwrap_or_default()
    }

    /// Logs this from now on.
    pub fn set(&self, directive: &str) -> Result<(), LogError> {
        let filter = filter(directive)?;
        self.0
            .reload(filter)
            .map_err(|error| refused(directive, error.to_string()))
    }
}

/// Whether this can be a directive.
///
/// # Errors
/// Why it cannot.
pub fn check(directive: &str) -> Result<(), LogError> {
    filter(directive).map(drop)
}

/// A log that is not the process's own.
pub(crate) fn subscriber(directive: &str) -> Result<(impl Subscriber + Send + Sync + use<>, LogHandle), LogError> {
    let (filter, handle) = reload::Layer::new(filter(directive)?);
    let lines = fmt::layer()
        .compact()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    Ok((
        tracing_subscriber::registry().with(filter).with(lines),
        LogHandle(handle),
    ))
}

fn filter(directive: &str) -> Result<EnvFilter, LogError> {
    for part in directive.split(',').map(str::trim) {
        // The library takes a misspelt level for the name of a module, and would log nothing else from then on.
        if !part.contains(['=', '[']) && !LEVELS.contains(&part.to_ascii_lowercase().as_str()) {
            let reason = format!("`{part}` should be one of {}, or MODULE=LEVEL", LEVELS.join(", "));
            return Err(refused(directive, reason));
        }
    }
    EnvFilter::try_new(directive).map_err(|error| refused(directive, error.to_string()))
}

fn refused(directive: &str, reason: String) -> LogError {
    LogError::Directive {
        directive: directive.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_changes_while_the_process_runs() {
        let (subscriber, handle) = subscriber("info").unwrap();
        tracing::subscriber::with_default(subscriber, || {
            assert!(!tracing::enabled!(tracing::Level::DEBUG));
            handle.set("warn,evenkeel_proxy=debug").unwrap();
            assert!(tracing::enabled!(tracing::Level::DEBUG));
            handle.set("error").unwrap();
            assert!(!tracing::enabled!(tracing::Level::WARN));
            assert_eq!(handle.directive(), "error");
        });
    }

    #[test]
    fn a_misspelt_level_is_refused_and_the_old_one_stays() {
        let (_subscriber, handle) = subscriber("info").unwrap();
        for bad in ["inof", "", "info,", "evenkeel_proxy=loud", "a b", "debug;info"] {
            let error = handle.set(bad).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{bad}` is not a log level: ")), "{error}");
        }
        assert_eq!(handle.directive(), "info");
    }
}
