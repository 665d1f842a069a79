//! Runs the programs of one iptables backend: `iptables-save` to look, `iptables-restore` to change.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use crate::family::Family;
use crate::fault::Fault;
use crate::fault::Hint;
use crate::rules::Rules;
use crate::saved;

/// How we call iptables-restore: our documents name what they replace, and another program's lock is waited for, in seconds.
pub const RESTORE_ARGUMENTS: [&str; 3] = ["--noflush", "-w", "30"];

/// One of the two kernel interfaces that rules live behind; each has tables of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// `nf_tables`.
    Nft,
    /// `ip_tables`, of before `nf_tables`.
    Legacy,
}

impl Backend {
    /// Both, the preferred one first.
    pub const IN_ORDER: [Backend; 2] = [Backend::Nft, Backend::Legacy];

    /// Whether a program that says this about its version is of this backend; those of before iptables 1.8 say nothing and
    /// are legacy.
    fn made(self, version: &str) -> bool {
        version.contains("nf_tables") == (self == Backend::Nft)
    }

    /// The kernel modules that a nat table of this backend needs.
    fn modules(self, family: Family) -> &'static str {
        match (self, family) {
            (Backend::Nft, _) => "nf_tables nft_compat nft_chain_nat xt_REDIRECT xt_owner xt_multiport",
            (Backend::Legacy, Family::V4) => "iptable_nat xt_REDIRECT xt_owner xt_multiport",
            (Backend::Legacy, Family::V6) => "ip6table_nat xt_REDIRECT xt_owner xt_multiport",
        }
    }

    /// Our rules in this backend's nat table of `family`.
    pub fn rules(self, family: Family) -> Result<Rules, Fault> {
        if self == Backend::Legacy && !legacy_table_exists(family) {
            // To ask iptables-save would create the table, in every namespace that we look into.
            return Ok(Rules::default());
        }
        let save = self.program(family, "save")?;
        let output = run(Command::new(&save).args(["-t", "nat"]).stdin(Stdio::null()), &save)?;
        let text = self.succeeded(&save, family, &output)?;
        if saved::is_unreadable(&text) {
            return Err(Fault::TableUnreadable {
                program: save.display().to_string(),
                family,
            });
        }
        Ok(saved::parse(&text))
    }

    /// Gives `document` to iptables-restore: all of it takes effect at once, or nothing does.
    pub fn restore(self, family: Family, document: &str) -> Result<(), Fault> {
        let restore = self.program(family, "restore")?;
        let mut command = Command::new(&restore);
        command
            .args(RESTORE_ARGUMENTS)
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let failed = |source| Fault::ProgramFailed {
            program: restore.clone(),
            source,
        };
        let mut child = command.spawn().map_err(failed)?;
        let mut input = child.stdin.take().expect("standard input was piped three lines above");
        match input.write_all(document.as_bytes()) {
            // It gave up before it had read everything; its exit status and words say why.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => (),
            outcome => outcome.map_err(failed)?,
        }
        drop(input);
        let output = child.wait_with_output().map_err(failed)?;
        self.succeeded(&restore, family, &output).map(drop)
    }

    fn program(self, family: Family, verb: &str) -> Result<PathBuf, Fault> {
        let path = env::var_os("PATH").unwrap_or_default();
        self.program_in(&path, family, verb)
    }

    /// The program by its full name, or a plain `iptables-save` that turns out to be of this backend.
    fn program_in(self, path: &OsStr, family: Family, verb: &str) -> Result<PathBuf, Fault> {
        let full = format!("{}-{self}-{verb}", family.program());
        if let Some(program) = find(path, &full) {
            return Ok(program);
        }
        if let Some(program) = find(path, &format!("{}-{verb}", family.program())) {
            let output = run(Command::new(&program).arg("--version").stdin(Stdio::null()), &program)?;
            if self.made(&String::from_utf8_lossy(&output.stdout)) {
                return Ok(program);
            }
        }
        Err(Fault::ProgramMissing {
            program: full,
            path: path.to_string_lossy().into_owned(),
        })
    }

    fn succeeded(self, program: &Path, family: Family, output: &Output) -> Result<String, Fault> {
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let hint = Hint::read(&said, self.modules(family));
        Err(Fault::Refused {
            command: program.display().to_string(),
            status: output.status.to_string(),
            said,
            hint,
        })
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Backend::Nft => "nft",
            Backend::Legacy => "legacy",
        })
    }
}

fn run(command: &mut Command, program: &Path) -> Result<Output, Fault> {
    let output = command.env("LC_ALL", "C").output();
    output.map_err(|source| Fault::ProgramFailed {
        program: program.to_owned(),
        source,
    })
}

fn find(path: &OsStr, program: &str) -> Option<PathBuf> {
    let executable = |file: &PathBuf| {
        fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    env::split_paths(path)
        .map(|folder| folder.join(program))
        .find(executable)
}

fn legacy_table_exists(family: Family) -> bool {
    match fs::read_to_string(family.legacy_tables_file()) {
        Ok(names) => names.lines().any(|name| name == "nat"),
        // The file comes with the kernel module; without it there is no table. Anything else does not tell.
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_full_name_of_a_program_is_preferred() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["iptables-nft-save", "iptables-save"] {
            fs::write(folder.path().join(name), "").unwrap();
            fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let found = Backend::Nft
            .program_in(folder.path().as_os_str(), Family::V4, "save")
            .unwrap();
        assert_eq!(found, folder.path().join("iptables-nft-save"));
    }

    #[test]
    fn a_file_that_cannot_be_run_is_not_the_program() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("iptables-nft-save"), "").unwrap();
        assert!(
            Backend::Nft
                .program_in(folder.path().as_os_str(), Family::V4, "save")
                .is_err()
        );
    }

    #[test]
    fn a_plain_name_is_taken_for_what_its_version_says() {
        for (version, backend) in [
            ("iptables-save v1.8.9 (nf_tables)", Backend::Nft),
            ("iptables-save v1.8.9 (legacy)", Backend::Legacy),
            ("iptables-save v1.6.1", Backend::Legacy),
        ] {
            assert_eq!(
                Backend::IN_ORDER.map(|candidate| candidate.made(version)),
                Backend::IN_ORDER.map(|it| it == backend)
            );
        }
    }

    #[test]
    fn a_missing_program_is_named_with_the_path_that_was_searched() {
        let folder = tempfile::tempdir().unwrap();
        let fault = Backend::Legacy
            .program_in(folder.path().as_os_str(), Family::V6, "restore")
            .unwrap_err()
            .to_string();
        assert!(fault.contains("ip6tables-legacy-restore is not in PATH"), "{fault}");
        assert!(fault.contains(&*folder.path().to_string_lossy()), "{fault}");
    }
}
