//! The program; what it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    evenkeel_control_plane::cli::main()
}
