//! Where the workspace's programs lie, beside the running test, and those that Python's packages brought. Nothing is built
//! here; what is missing is named, with the command that makes it.

use std::path::PathBuf;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;

/// The path of a program of this workspace, such as `evenkeel-proxy`, from the same profile as the running program.
pub fn path(program: &str) -> Result<PathBuf> {
    let path = folder()?.join(program);
    ensure!(
        path.is_file(),
        "{} is missing: run `cargo build --workspace --bins` first (or `make test`)",
        path.display()
    );
    Ok(path)
}

/// A program of the Python environment that `tests/scripts/requirements` makes: `bin/python`, or what a package brought.
pub fn python(program: &str) -> Result<PathBuf> {
    fetched(&format!("python/{program}"))
}

/// What `tests/scripts/requirements` puts beside the programs that are built here, by its path in the target folder.
pub fn fetched(program: &str) -> Result<PathBuf> {
    let profile = folder()?;
    let path = profile.parent().unwrap_or(&profile).join(program);
    ensure!(
        path.is_file(),
        "{} is missing: run `tests/scripts/requirements` first (or `make test`)",
        path.display()
    );
    Ok(path)
}

/// Test programs lie in `target/PROFILE/deps`, ordinary ones in `target/PROFILE`.
fn folder() -> Result<PathBuf> {
    let running = std::env::current_exe().context("where this program lies")?;
    let folder = running.parent().context("a program lies in a folder")?;
    let profile = if folder.ends_with("deps") {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    };
    Ok(profile.to_owned())
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
