//! Everything that can go wrong, in words for whoever is woken by it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::family::Family;
use crate::options::ArgumentFault;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Arguments that cannot be obeyed; nothing was changed.
    #[error("nothing was done, because of the arguments:{}", listed(.0))]
    Arguments(Vec<ArgumentFault>),

    /// A program that the backend consists of is not installed.
    #[error(
        "the program {program} is not in PATH ({path}); install the iptables package that has it, or choose another --backend"
    )]
    ProgramMissing {
        /// The name that was looked for.
        program: String,
        /// Where it was looked for.
        path: String,
    },

    /// A program is there and does not start.
    #[error("{} does not start: {source}", program.display())]
    ProgramFailed {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// A program ran and refused.
    #[error("{command} failed ({status}): {said}{}", hint.as_ref().map_or(String::new(), |hint| format!("\n  {hint}")))]
    Refused {
        /// What was run.
        command: String,
        /// How it ended.
        status: String,
        /// What it wrote to standard error.
        said: String,
        /// What that means, where we know.
        hint: Option<Hint>,
    },

    /// Something that is not iptables wrote to the nat table, so that iptables cannot show it.
    #[error(
        "{program} cannot show the {family} nat table, because nft rules that iptables does not know are in it; \
         look with `nft list table {}`, or choose --backend=legacy", match family { Family::V4 => "ip nat", Family::V6 => "ip6 nat" }
    )]
    TableUnreadable {
        /// What was run.
        program: String,
        /// Whose table.
        family: Family,
    },

    /// Neither backend works here.
    #[error("neither iptables backend works here.\n  nft: {nft}\n  legacy: {legacy}")]
    NoBackend {
        /// Why not nft.
        nft: Box<Fault>,
        /// Why not legacy.
        legacy: Box<Fault>,
    },

    /// IPv6 cannot be redirected and would go round the proxy.
    #[error(
        "IPv6 cannot be redirected, and this pod has the global IPv6 address {address}, so that traffic would go round \
         the proxy; nothing was changed for IPv4. Repair it, or say --ipv6=off to let IPv6 go round the proxy.\n  {cause}"
    )]
    Ipv6Unprotected {
        /// One of the pod's addresses.
        address: String,
        /// Why it cannot.
        cause: Box<Fault>,
    },

    /// Another one of us did not finish in time.
    #[error(
        "another evenkeel-init{holder} has been at work in this pod for over {waited_seconds} s; look at that process, or wait longer \
         with --lock-wait"
    )]
    Locked {
        /// Which process, where the kernel tells.
        holder: String,
        /// How long we waited.
        waited_seconds: u16,
    },

    /// The system refused something that should always work.
    #[error("{doing}: {source}")]
    System {
        /// What we were about to do.
        doing: String,
        /// What the system said.
        source: io::Error,
    },

    /// The rules in the kernel are not those of the plan.
    #[error(
        "the {family} rules are not those that these options ask for; run `evenkeel-init install` with the same options:{}",
        listed(differences)
    )]
    RulesDiffer {
        /// Whose rules.
        family: Family,
        /// How.
        differences: Vec<crate::saved::Difference>,
    },

    /// The connection that `verify` made did not arrive as it should.
    #[error("{family} outbound traffic does not reach the proxy: {why}")]
    NotRedirected {
        /// Which family.
        family: Family,
        /// What happened, and what to do.
        why: String,
    },

    /// `verify` cannot make its connection.
    #[error("{family} outbound redirection cannot be tried: {why}")]
    CannotTry {
        /// Which family.
        family: Family,
        /// Why, and what to do.
        why: String,
    },
}

impl Fault {
    /// 2 for arguments, as for those that are refused sooner; else 1.
    pub fn exit_status(&self) -> u8 {
        match self {
            Fault::Arguments(_) => 2,
            _ => 1,
        }
    }
}

/// What the text of iptables means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The process may not change rules.
    NotPermitted,
    /// The kernel lacks something.
    KernelModule {
        /// The modules that have it.
        modules: String,
    },
    /// The lock file of the legacy backend cannot be made.
    LockFile,
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hint::NotPermitted => f.write_str(
                "The process may not change firewall rules: it must run as root with the capabilities NET_ADMIN and NET_RAW, \
                 in the pod's network namespace.",
            ),
            Hint::KernelModule { modules } => write!(
                f,
                "The kernel lacks a module. A container cannot load it; on the node, run `modprobe -a {modules}`, or try the \
                 other --backend."
            ),
            Hint::LockFile => f.write_str(
                "The legacy backend needs its lock file: make /run writable (an emptyDir), or set XTABLES_LOCKFILE to a path \
                 that is.",
            ),
        }
    }
}

impl Hint {
    /// Reads what iptables wrote to standard error; `table_module` is what the nat table of that backend needs.
    pub fn read(said: &str, table_module: &str) -> Option<Hint> {
        let says = |phrases: &[&str]| phrases.iter().any(|phrase| said.contains(phrase));
        if says(&["xtables.lock", "XTABLES_LOCKFILE"]) {
            return Some(Hint::LockFile);
        }
        // iptables says "initialize table" for either, and only sometimes why; asking for root is the plainer sign.
        if says(&["you must be root", "Permission denied", "Operation not permitted"]) {
            return Some(Hint::NotPermitted);
        }
        let extension = said
            .split_once("Extension ")
            .and_then(|(_, rest)| rest.split_whitespace().next());
        if let Some(extension) = extension.filter(|_| said.contains("missing kernel module")) {
            return Some(Hint::KernelModule {
                modules: format!("nft_compat xt_{extension}"),
            });
        }
        let lacking = [
            "do you need to insmod",
            "unable to initialize table",
            "Table does not exist",
            "not supported",
            "No such file or directory",
        ];
        says(&lacking).then(|| Hint::KernelModule {
            modules: table_module.to_owned(),
        })
    }
}

fn listed<T: fmt::Display>(items: &[T]) -> String {
    items
        .iter()
        .flat_map(|item| ["\n  ".to_owned(), item.to_string()])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_iptables_says_is_understood() {
        let modules = |modules: &str| {
            Some(Hint::KernelModule {
                modules: modules.to_owned(),
            })
        };
        for (said, hint) in [
            (
                "iptables-nft-restore v1.8.9 (nf_tables): Could not fetch rule set generation id: Permission denied (you must be root)",
                Some(Hint::NotPermitted),
            ),
            (
                "iptables-restore v1.8.9 (legacy): iptables-restore: unable to initialize table 'nat'",
                modules("iptable_nat"),
            ),
            (
                "Warning: Extension REDIRECT revision 0 not supported, missing kernel module?\niptables-nft-restore: line 8 failed",
                modules("nft_compat xt_REDIRECT"),
            ),
            (
                "modprobe: can't change directory to '/lib/modules': No such file or directory\nTable does not exist (do you need to insmod?)",
                modules("iptable_nat"),
            ),
            (
                "Fatal: can't open lock file /run/xtables.lock: Read-only file system",
                Some(Hint::LockFile),
            ),
            ("iptables-nft-restore: COMMIT expected at line 10", None),
        ] {
            assert_eq!(Hint::read(said, "iptable_nat"), hint, "{said}");
        }
    }

    #[test]
    fn faults_of_arguments_are_listed_one_a_line() {
        let fault = |flag| ArgumentFault {
            flag,
            item: Some(2),
            why: "is empty".to_owned(),
        };
        let text = Fault::Arguments(vec![fault("--a"), fault("--b")]).to_string();
        assert_eq!(
            text,
            "nothing was done, because of the arguments:\n  --a, item 2: is empty\n  --b, item 2: is empty"
        );
    }
}
