//! The program's command line: what it takes, and the exit code that says how it went.

mod argument;
mod call;
mod tap;
mod validate;
mod wait;

use crate::app;
use crate::app::Held;
use crate::control::source::Place;
use crate::telemetry::log;
use argument::Address;
use clap::Args;
use clap::Parser;
use clap::Subcommand;
use std::future::Future;
use std::io;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const EXIT_CODES: &str = "\
Exit codes:
  0  it is done
  1  it failed; the reason is on stderr
  2  the command line is wrong
  3  it took longer than --timeout";

const TAP_EXAMPLES: &str = "\
Examples:
  evenkeel-proxy tap --status 5xx --status 404
  evenkeel-proxy tap --host '*.shop' --path /orders --method POST --headers
  evenkeel-proxy tap --peer 10.1.0.0/16 --direction inbound --count 10 --output json";

/// Evenkeel's data plane: takes over a pod's TCP traffic and balances every request.
#[derive(Debug, Parser)]
#[command(name = "evenkeel-proxy", version, after_help = EXIT_CODES, after_long_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, PartialEq, Subcommand)]
enum Command {
    /// Carry traffic as a mesh document says, until told to end
    ///
    /// The document is watched: a good change is applied without dropping a connection, a bad one is refused aloud.
    /// SIGTERM drains and then ends; a second SIGTERM ends at once.
    Run {
        #[command(flatten)]
        document: Document,
        /// Level, or several as in `info,evenkeel_proxy::control=debug`
        #[arg(long, env = "EVENKEEL_LOG", value_name = "LEVEL", default_value = "info")]
        log: String,
    },
    /// Check a mesh document, and print everything that is wrong with it
    ///
    /// Each fault is a line with file, line, column, path and reason.
    Validate {
        #[command(flatten)]
        checked: Checked,
    },
    /// Wait until a proxy is ready
    Await {
        /// How long: a whole number with ms, s, m or h
        #[arg(long, value_name = "TIME", default_value = "60s", value_parser = argument::duration)]
        timeout: Duration,
        /// Where the proxy answers /ready
        #[arg(long, alias = "admin", value_name = "HOST:PORT", default_value = "127.0.0.1:15020")]
        telemetry: Address,
    },
    /// Show requests and opaque connections as they end
    ///
    /// Without options it shows all of them, up to --limit a second, until it is interrupted. All that is asked for must hold.
    /// Values of headers are redacted unless --headers asks for them. While nobody listens, it costs the proxy nothing.
    #[command(after_help = TAP_EXAMPLES, after_long_help = TAP_EXAMPLES)]
    Tap {
        #[command(flatten)]
        options: Box<tap::Options>,
    },
    /// Ask a proxy to drain, and wait until it has ended
    ///
    /// With --until-terminated it is what a native sidecar's preStop is for: a kubelet runs that when the pod begins to end.
    Drain {
        /// How long: a whole number with ms, s, m or h
        #[arg(long, value_name = "TIME", default_value = "30s", value_parser = argument::duration)]
        timeout: Duration,
        /// Return at once; the proxy serves on, saying goodbye, and ends only some time after SIGTERM
        #[arg(long, conflicts_with = "timeout")]
        until_terminated: bool,
        /// Where the proxy answers /drain
        #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:15000")]
        admin: Address,
    },
}

/// The document of a proxy: a file or a text.
#[derive(Args, Debug, PartialEq)]
#[group(required = true, multiple = false)]
struct Document {
    /// The mesh document
    #[arg(long, env = "EVENKEEL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The mesh document itself, instead of a file; it is not watched
    #[arg(long, env = "EVENKEEL_CONFIG_INLINE", value_name = "TEXT")]
    config_inline: Option<String>,
}

/// The document that is to be checked.
#[derive(Args, Debug, PartialEq)]
#[group(required = true, multiple = false)]
struct Checked {
    /// The mesh document
    file: Option<PathBuf>,
    /// The mesh document itself, instead of a file
    #[arg(long, env = "EVENKEEL_CONFIG_INLINE", value_name = "TEXT")]
    config_inline: Option<String>,
}

/// Why a command did not do what it should; each with a text for people.
#[derive(Debug, PartialEq)]
enum Failure {
    Failed(String),
    TimedOut(String),
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    // Before anything else: until a proxy listens, the kernel would drop a TERM to process 1 of a container.
    let held = Held::hold();
    let done = held
        .map_err(|error| Failure::Failed(format!("cannot hold signals back: {error}")))
        .and_then(|held| execute(Cli::parse().command, held));
    // Nothing is left to be told when stdout and stderr cannot be written.
    match done {
        // A reader of the tap who is away would hold this up: stdout has a lock.
        Ok(done) if done.is_empty() => ExitCode::SUCCESS,
        Ok(done) => {
            let _ = io::stdout().write_all(done.as_bytes());
            ExitCode::SUCCESS
        }
        Err(Failure::Failed(reason)) => {
            let _ = writeln!(io::stderr(), "{reason}");
            ExitCode::from(1)
        }
        Err(Failure::TimedOut(reason)) => {
            let _ = writeln!(io::stderr(), "{reason}");
            ExitCode::from(3)
        }
    }
}

/// `Ok`: what is to be printed.
fn execute(command: Command, held: Held) -> Result<String, Failure> {
    match command {
        Command::Run { document, log } => run(&place(document.config, document.config_inline)?, &log, held),
        Command::Validate { checked } => {
            let document = place(checked.file, checked.config_inline)?;
            validate::validate(&document).map_err(Failure::Failed)
        }
        Command::Await { timeout, telemetry } => block_on(held, wait::until_ready(&telemetry, timeout)),
        Command::Tap { options } => block_on(held, tap::run(*options)),
        Command::Drain {
            until_terminated: true,
            admin,
            ..
        } => block_on(held, wait::drain_until_terminated(&admin)),
        Command::Drain { timeout, admin, .. } => block_on(held, wait::until_drained(&admin, timeout)),
    }
}

/// The command line has one of both.
fn place(file: Option<PathBuf>, text: Option<String>) -> Result<Place, Failure> {
    match (file, text) {
        (Some(file), None) => Ok(Place::File(file)),
        (None, Some(text)) => Ok(Place::Inline(text)),
        (None, None) | (Some(_), Some(_)) => Err(Failure::Failed("one document is needed".to_owned())),
    }
}

fn run(document: &Place, directive: &str, held: Held) -> Result<String, Failure> {
    let log = log::install(directive).map_err(|error| Failure::Failed(error.to_string()))?;
    app::run(document, log, held).map_err(Failure::Failed)?;
    Ok(String::new())
}

/// Works on, and may be interrupted.
fn block_on(held: Held, work: impl Future<Output = Result<(), Failure>>) -> Result<String, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("cannot start: {error}")))?;
    drop(held);
    runtime.block_on(work)?;
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    fn parse(line: &str) -> Result<Command, ErrorKind> {
        let words = ["evenkeel-proxy"].into_iter().chain(line.split_whitespace());
        Cli::try_parse_from(words)
            .map(|cli| cli.command)
            .map_err(|error| error.kind())
    }

    #[test]
    fn the_command_line_is_sound_and_tells_its_exit_codes() {
        Cli::command().debug_assert();
        assert!(
            Cli::command()
                .render_help()
                .to_string()
                .contains("3  it took longer than --timeout")
        );
    }

    #[test]
    fn every_command_is_understood() {
        let run = |config: Option<&str>, config_inline: Option<&str>| Command::Run {
            document: Document {
                config: config.map(Into::into),
                config_inline: config_inline.map(Into::into),
            },
            log: "debug".to_owned(),
        };
        assert_eq!(
            parse("run --config mesh.yaml --log debug"),
            Ok(run(Some("mesh.yaml"), None))
        );
        assert_eq!(parse("run --config-inline {} --log debug"), Ok(run(None, Some("{}"))));
        let validate = |file: Option<&str>, config_inline: Option<&str>| Command::Validate {
            checked: Checked {
                file: file.map(Into::into),
                config_inline: config_inline.map(Into::into),
            },
        };
        assert_eq!(parse("validate a.yaml"), Ok(validate(Some("a.yaml"), None)));
        assert_eq!(parse("validate --config-inline {}"), Ok(validate(None, Some("{}"))));
        let address = |text: &str| text.parse().unwrap();
        let timeout = Duration::from_mins(1);
        assert_eq!(
            parse("await"),
            Ok(Command::Await {
                timeout,
                telemetry: address("127.0.0.1:15020")
            })
        );
        let timeout = Duration::from_millis(500);
        assert_eq!(
            parse("await --timeout 500ms --admin http://[::1]:15000/"),
            Ok(Command::Await {
                timeout,
                telemetry: address("[::1]:15000")
            })
        );
        for (line, until_terminated) in [("drain", false), ("drain --until-terminated", true)] {
            assert_eq!(
                parse(line),
                Ok(Command::Drain {
                    timeout: Duration::from_secs(30),
                    until_terminated,
                    admin: address("127.0.0.1:15000")
                })
            );
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert_eq!(parse("run --confg mesh.yaml"), Err(ErrorKind::UnknownArgument));
        assert_eq!(parse("run"), Err(ErrorKind::MissingRequiredArgument));
        assert_eq!(
            parse("run --config a.yaml --config-inline {}"),
            Err(ErrorKind::ArgumentConflict)
        );
        assert_eq!(parse("validate"), Err(ErrorKind::MissingRequiredArgument));
        assert_eq!(
            parse("validate a.yaml --config-inline {}"),
            Err(ErrorKind::ArgumentConflict)
        );
        assert_eq!(parse("await --timeout 60"), Err(ErrorKind::ValueValidation));
        assert_eq!(parse("drain --admin 127.0.0.1"), Err(ErrorKind::ValueValidation));
        assert_eq!(
            parse("drain --until-terminated --timeout 5s"),
            Err(ErrorKind::ArgumentConflict)
        );
        assert_eq!(parse("tap --show-header"), Err(ErrorKind::InvalidValue));
        assert_eq!(parse("tap --limit 0"), Err(ErrorKind::ValueValidation));
        assert_eq!(parse("serve"), Err(ErrorKind::InvalidSubcommand));
    }

    #[test]
    fn a_bad_log_level_ends_the_process_with_a_sentence() {
        let held = Held::hold().unwrap();
        let Err(Failure::Failed(reason)) = run(&Place::Inline(String::new()), "inof", held) else {
            panic!("it is refused")
        };
        assert!(reason.starts_with("`inof` is not a log level: "), "{reason}");
    }
}
