//! The program's command line: what it takes, and the exit code that says how it went.

mod argument;
mod call;
mod validate;
mod wait;

use crate::app;
use crate::telemetry::log;
use argument::Address;
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
        /// The mesh document
        #[arg(long, env = "EVENKEEL_CONFIG", value_name = "FILE")]
        config: PathBuf,
        /// Level, or several as in `info,evenkeel_proxy::control=debug`
        #[arg(long, env = "EVENKEEL_LOG", value_name = "LEVEL", default_value = "info")]
        log: String,
    },
    /// Check a mesh document, and print everything that is wrong with it
    ///
    /// Each fault is a line with file, line, column, path and reason.
    Validate {
        /// The mesh document
        file: PathBuf,
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
    /// Ask a proxy to drain, and wait until it has ended
    Drain {
        /// How long: a whole number with ms, s, m or h
        #[arg(long, value_name = "TIME", default_value = "30s", value_parser = argument::duration)]
        timeout: Duration,
        /// Where the proxy answers /drain
        #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:15000")]
        admin: Address,
    },
}

/// Why a command did not do what it should; each with a text for people.
#[derive(Debug, PartialEq)]
enum Failure {
    Failed(String),
    TimedOut(String),
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    // Nothing is left to be told when stdout and stderr cannot be written.
    match execute(Cli::parse().command) {
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
fn execute(command: Command) -> Result<String, Failure> {
    match command {
        Command::Run { config, log } => run(&config, &log),
        Command::Validate { file } => validate::validate(&file).map_err(Failure::Failed),
        Command::Await { timeout, telemetry } => block_on(wait::until_ready(&telemetry, timeout)),
        Command::Drain { timeout, admin } => block_on(wait::until_drained(&admin, timeout)),
    }
}

fn run(config: &std::path::Path, directive: &str) -> Result<String, Failure> {
    let log = log::install(directive).map_err(|error| Failure::Failed(error.to_string()))?;
    app::run(config, log).map_err(Failure::Failed)?;
    Ok(String::new())
}

fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<String, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("cannot start: {error}")))?;
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
        let run = Command::Run {
            config: "mesh.yaml".into(),
            log: "debug".to_owned(),
        };
        assert_eq!(parse("run --config mesh.yaml --log debug"), Ok(run));
        assert_eq!(
            parse("validate a.yaml"),
            Ok(Command::Validate { file: "a.yaml".into() })
        );
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
        let timeout = Duration::from_secs(30);
        assert_eq!(
            parse("drain"),
            Ok(Command::Drain {
                timeout,
                admin: address("127.0.0.1:15000")
            })
        );
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert_eq!(parse("run --confg mesh.yaml"), Err(ErrorKind::UnknownArgument));
        assert_eq!(parse("validate"), Err(ErrorKind::MissingRequiredArgument));
        assert_eq!(parse("await --timeout 60"), Err(ErrorKind::ValueValidation));
        assert_eq!(parse("drain --admin 127.0.0.1"), Err(ErrorKind::ValueValidation));
        assert_eq!(parse("serve"), Err(ErrorKind::InvalidSubcommand));
    }

    #[test]
    fn a_bad_log_level_ends_the_process_with_a_sentence() {
        let Err(Failure::Failed(reason)) = run("mesh.yaml".as_ref(), "inof") else {
            panic!("it is refused")
        };
        assert!(reason.starts_with("`inof` is not a log level: "), "{reason}");
    }
}
