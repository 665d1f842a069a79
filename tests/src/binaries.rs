//! Where the workspace's programs lie: beside the running test. Nothing is built here; what is missing is named, with
//! the command that makes it.

use std::path::PathBuf;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;

/// The path of a program of this workspace, such as `evenkeel-proxy`, from the same profile as the running program.
pub fn path(program: &str) -> Result<PathBuf> {
    let running = std::env::current_exe().context("where this program lies")?;
    let folder = running.parent().context("a program lies in a folder")?;
    // Test programs lie in `target/PROFILE/deps`, ordinary ones in `target/PROFILE`.
    let folder = if folder.ends_with("deps") {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    };
    let path = folder.join(program);
    ensure!(
        path.is_file(),
        "{} is missing: run `cargo build --workspace --bins` first (or `make test`)",
        path.display()
    );
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_the_command_that_makes_it() {
        let error = path("no-such-program").unwrap_err().to_string();
        assert!(
            error.contains("debug/no-such-program") || error.contains("/no-such-program"),
            "{error}"
        );
        assert!(error.contains("cargo build --workspace --bins"), "{error}");
    }
}
