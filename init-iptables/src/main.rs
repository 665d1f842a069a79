//! The `evenkeel-init` program.

use std::io;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use evenkeel_init::command;
use evenkeel_init::options::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match command::run(&cli, &mut io::stdout(), &mut io::stderr()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody is left to tell when standard error is closed; the exit status still says it.
            let _ = writeln!(io::stderr(), "evenkeel-init: {failure}");
            ExitCode::from(failure.exit_status())
        }
    }
}
