//! Mixed traffic through two proxies for minutes, then a table: what was served, what failed, and whether descriptors and
//! memory are where they were. The status is not 0 when something is wrong, and stderr says what.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use evenkeel_tests::soak;

/// Soaks the proxy in network namespaces of its own; needs root.
#[derive(Parser)]
struct Arguments {
    /// For how long the traffic goes on.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
}

fn main() -> ExitCode {
    match soak::run(Duration::from_mins(Arguments::parse().minutes)) {
        Ok(report) => {
            print(&report.table());
            let faults = report.faults();
            for fault in &faults {
                note(&format!("soak: {fault}"));
            }
            if faults.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            note(&format!("soak: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stderr)] // faults are for a person
fn note(line: &str) {
    eprintln!("{line}");
}

#[allow(clippy::print_stdout)] // the table is what this program is for
fn print(table: &str) {
    print!("{table}");
}
