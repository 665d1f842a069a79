//! The command line, and the step from flags to a checked [`Plan`]: everything wrong is reported at once.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use clap::Args;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;

use crate::cidr::Cidr;
use crate::plan::Ipv6;
use crate::plan::Mark;
use crate::plan::Plan;
use crate::plan::Selection;
use crate::ports::PortRange;
use crate::ports::PortSet;
use crate::ports::parse_port;

/// The longest interface name that the kernel takes (`IFNAMSIZ` less the final NUL).
const INTERFACE_NAME_MAX: usize = 15;

/// Redirects a pod's TCP traffic to the Evenkeel proxy.
///
/// Needs the capabilities `NET_ADMIN` and `NET_RAW`, and nothing else. Only TCP is taken over: UDP, DNS and QUIC pass by untouched.
#[derive(Debug, Parser)]
#[command(name = "evenkeel-init", version, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Put the redirection in place; running it again, with the same options or others, is safe.
    Install {
        /// What is redirected.
        #[command(flatten)]
        plan: PlanFlags,
        /// How the rules are reached.
        #[command(flatten)]
        kernel: KernelFlags,
        /// Print the documents that would be given to iptables-restore here and now, and change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Prove that the redirection is in place; give it the same options as `install`.
    ///
    /// Outbound by making a connection and looking where it was meant to go, so run it before the proxy starts.
    /// Inbound by reading the rules back. Fails with a sentence that says what is wrong.
    Verify {
        /// What should be redirected.
        #[command(flatten)]
        plan: PlanFlags,
        /// How the rules are reached.
        #[command(flatten)]
        kernel: KernelFlags,
    },
    /// Remove the redirection, and leave the rules of others exactly as they are.
    Cleanup {
        /// How the rules are reached.
        #[command(flatten)]
        kernel: KernelFlags,
        /// Print the documents that would be given to iptables-restore here and now, and change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Print the documents that `install` gives to iptables-restore in a pod without our rules; needs no privileges.
    Print {
        /// What is redirected.
        #[command(flatten)]
        plan: PlanFlags,
    },
}

/// How the kernel's rules are reached.
#[derive(Clone, Copy, Debug, Args)]
pub struct KernelFlags {
    /// Which iptables to use; `auto` takes the one that holds our rules already, else nft if it works here, else legacy.
    #[arg(long, value_enum, default_value = "auto", value_name = "BACKEND")]
    pub backend: BackendChoice,
    /// How long to wait, in seconds, for another evenkeel-init in this pod to finish.
    #[arg(long, default_value = "60", value_name = "SECONDS")]
    pub lock_wait: NonZeroU16,
}

/// Which iptables to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BackendChoice {
    /// Where our rules are already, else nft if it works, else legacy.
    Auto,
    /// The iptables that speaks to `nf_tables`.
    Nft,
    /// The iptables of before `nf_tables`.
    Legacy,
}

/// What is redirected. Lists are comma-separated, may be given several times, and may be empty. All values are read
/// as text here and checked together in [`PlanFlags::check`].
#[derive(Clone, Debug, Args)]
pub struct PlanFlags {
    /// Port on loopback where the proxy takes outbound connections.
    #[arg(long, default_value = "15001", value_name = "PORT")]
    outbound_port: String,
    /// Port where the proxy takes inbound connections.
    #[arg(long, default_value = "15006", value_name = "PORT")]
    inbound_port: String,
    /// Ports of the proxy itself, never redirected; the two above always belong to them.
    #[arg(long, default_value = "15000,15001,15006,15020", value_name = "PORTS")]
    own_ports: Vec<String>,
    /// The user that the proxy runs as; what it connects to is never redirected.
    #[arg(long, default_value = "1337", value_name = "UID")]
    proxy_uid: String,
    /// Further users whose connections are left alone.
    #[arg(long, value_name = "UIDS")]
    exempt_uid: Vec<String>,
    /// Groups whose connections are left alone.
    #[arg(long, value_name = "GIDS")]
    exempt_gid: Vec<String>,
    /// Connections with these packet marks are left alone: VALUE or VALUE/MASK, decimal or 0x...
    #[arg(long, value_name = "MARKS")]
    exempt_mark: Vec<String>,
    /// Redirect outbound connections to these ports only, such as 80,8000-8999; empty means all.
    #[arg(long, value_name = "PORTS")]
    include_outbound_ports: Vec<String>,
    /// Leave outbound connections to these ports alone; wins over every include.
    #[arg(long, value_name = "PORTS")]
    exclude_outbound_ports: Vec<String>,
    /// Redirect outbound connections to these blocks only, of either family; empty means all.
    #[arg(long, value_name = "CIDRS")]
    include_outbound_cidrs: Vec<String>,
    /// Leave outbound connections to these blocks alone; wins over every include.
    #[arg(long, value_name = "CIDRS")]
    exclude_outbound_cidrs: Vec<String>,
    /// Redirect inbound connections to these ports only; empty means all.
    #[arg(long, value_name = "PORTS")]
    include_inbound_ports: Vec<String>,
    /// Leave inbound connections to these ports alone; wins over the include.
    #[arg(long, value_name = "PORTS")]
    exclude_inbound_ports: Vec<String>,
    /// Leave these interfaces alone in both directions; a trailing + stands for any ending.
    #[arg(long, value_name = "INTERFACES")]
    leave_interfaces: Vec<String>,
    /// What to do about IPv6: with `off` it goes round the proxy.
    #[arg(long, value_enum, default_value = "auto", value_name = "MODE")]
    ipv6: Ipv6,
}

/// One argument that cannot be obeyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgumentFault {
    /// The flag, with its dashes.
    pub flag: &'static str,
    /// Which item of its list, counted from 1, where it has one.
    pub item: Option<usize>,
    /// What is wrong with it, and what to write instead.
    pub why: String,
}

impl fmt::Display for ArgumentFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.item {
            Some(item) => write!(f, "{}, item {item}: {}", self.flag, self.why),
            None => write!(f, "{}: {}", self.flag, self.why),
        }
    }
}

impl PlanFlags {
    /// The plan, or everything that is wrong with the arguments.
    pub fn check(&self) -> Result<Plan, Vec<ArgumentFault>> {
        let mut checker = Checker::default();
        let outbound_port = checker.one("--outbound-port", &self.outbound_port, parse_port);
        let inbound_port = checker.one("--inbound-port", &self.inbound_port, parse_port);
        let mut own = checker.list("--own-ports", &self.own_ports, PortRange::parse);
        for port in [&self.outbound_port, &self.inbound_port] {
            own.extend(PortRange::parse(port));
        }
        let mut exempt_uids: BTreeSet<u32> =
            checker.set("--exempt-uid", &self.exempt_uid, |text| parse_id("user", text));
        exempt_uids.extend(checker.one("--proxy-uid", &self.proxy_uid, |text| parse_id("user", text)));
        let plan = Plan {
            outbound_port: outbound_port.unwrap_or_default(),
            inbound_port: inbound_port.unwrap_or_default(),
            own_ports: PortSet::of(own),
            exempt_uids,
            exempt_gids: checker.set("--exempt-gid", &self.exempt_gid, |text| parse_id("group", text)),
            exempt_marks: checker.set("--exempt-mark", &self.exempt_mark, parse_mark),
            left_interfaces: checker.set("--leave-interfaces", &self.leave_interfaces, parse_interface),
            outbound_ports: Selection {
                include: or_all(checker.ports("--include-outbound-ports", &self.include_outbound_ports)),
                exclude: checker.ports("--exclude-outbound-ports", &self.exclude_outbound_ports),
            },
            outbound_cidrs: Selection {
                include: or_everywhere(checker.set(
                    "--include-outbound-cidrs",
                    &self.include_outbound_cidrs,
                    Cidr::parse,
                )),
                exclude: checker.set("--exclude-outbound-cidrs", &self.exclude_outbound_cidrs, Cidr::parse),
            },
            inbound_ports: Selection {
                include: or_all(checker.ports("--include-inbound-ports", &self.include_inbound_ports)),
                exclude: checker.ports("--exclude-inbound-ports", &self.exclude_inbound_ports),
            },
            ipv6: self.ipv6,
        };
        if outbound_port.is_some() && outbound_port == inbound_port {
            let why = format!(
                "is {} too, as --outbound-port; the proxy needs two different ports",
                plan.inbound_port
            );
            checker.faults.push(ArgumentFault {
                flag: "--inbound-port",
                item: None,
                why,
            });
        }
        if checker.faults.is_empty() {
            Ok(plan)
        } else {
            Err(checker.faults)
        }
    }
}

/// Reads values and remembers what was wrong with them.
#[derive(Default)]
struct Checker {
    faults: Vec<ArgumentFault>,
}

impl Checker {
    fn one<T>(&mut self, flag: &'static str, text: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        parse(text)
            .map_err(|why| self.faults.push(ArgumentFault { flag, item: None, why }))
            .ok()
    }

    fn list<T>(&mut self, flag: &'static str, values: &[String], parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        // A template that leaves a list empty means the empty list; an empty item between commas is a slip.
        let items = values
            .iter()
            .filter(|value| !value.trim().is_empty())
            .flat_map(|value| value.split(','));
        let mut read = Vec::new();
        for (index, item) in items.map(str::trim).enumerate() {
            let outcome = if item.is_empty() {
                Err("is empty; remove the comma".to_owned())
            } else {
                parse(item)
            };
            match outcome {
                Ok(value) => read.push(value),
                Err(why) if item.is_empty() => self.faults.push(ArgumentFault {
                    flag,
                    item: Some(index + 1),
                    why,
                }),
                Err(why) => {
                    let why = format!("`{}`: {why}", item.escape_debug());
                    self.faults.push(ArgumentFault {
                        flag,
                        item: Some(index + 1),
                        why,
                    });
                }
            }
        }
        read
    }

    fn set<T: Ord>(
        &mut self,
        flag: &'static str,
        values: &[String],
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> BTreeSet<T> {
        self.list(flag, values, parse).into_iter().collect()
    }

    fn ports(&mut self, flag: &'static str, values: &[String]) -> PortSet {
        PortSet::of(self.list(flag, values, PortRange::parse))
    }
}

fn or_all(ports: PortSet) -> PortSet {
    if ports == PortSet::default() {
        PortSet::all()
    } else {
        ports
    }
}

fn or_everywhere(cidrs: BTreeSet<Cidr>) -> BTreeSet<Cidr> {
    if !cidrs.is_empty() {
        return cidrs;
    }
    ["0.0.0.0/0", "::/0"]
        .into_iter()
        .map(|all| Cidr::parse(all).expect("both are well-formed blocks"))
        .collect()
}

/// A uid or gid; 0 is allowed, and the highest number is not, for the kernel takes it as "none".
fn parse_id(kind: &str, text: &str) -> Result<u32, String> {
    match parse_digits::<u32>(text) {
        Some(id) if id != u32::MAX => Ok(id),
        _ => Err(format!(
            "`{text}` is not a {kind} number; it is a number from 0 to 4294967294, not a name"
        )),
    }
}

fn parse_mark(text: &str) -> Result<Mark, String> {
    let (value, mask) = match text.split_once('/') {
        Some((value, mask)) => (parse_bits(value)?, parse_bits(mask)?),
        None => (parse_bits(text)?, u32::MAX),
    };
    if value & !mask != 0 {
        return Err("the value has bits outside the mask and could never match".to_owned());
    }
    if value == 0 {
        return Err("0 is what an unmarked connection carries, so that nothing would be redirected".to_owned());
    }
    Ok(Mark { value, mask })
}

fn parse_bits(text: &str) -> Result<u32, String> {
    let hexadecimal = text
        .strip_prefix("0x")
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let bits = match hexadecimal {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => parse_digits(text),
    };
    bits.ok_or_else(|| format!("`{text}` is not a 32-bit number, decimal or 0x..."))
}

fn parse_digits<N: FromStr>(text: &str) -> Option<N> {
    // `FromStr` would take a leading plus sign.
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

/// Only names that iptables-restore takes unquoted.
fn parse_interface(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@:+".contains(&byte);
    if text.len() > INTERFACE_NAME_MAX {
        return Err(format!("an interface name has at most {INTERFACE_NAME_MAX} bytes"));
    }
    if text == "+" {
        return Err("that is every interface, so that nothing would be redirected".to_owned());
    }
    if !text.bytes().all(plain) || text.starts_with('-') || text == "." || text == ".." {
        return Err("is not an interface name; letters, digits and . _ - @ : are, and + at the end".to_owned());
    }
    Ok(text.to_owned())
}

/// The plan of `evenkeel-init print ARGUMENTS`.
#[cfg(test)]
pub(crate) fn plan_from(arguments: &[&str]) -> Result<Plan, Vec<ArgumentFault>> {
    match Cli::parse_from([&["evenkeel-init", "print"], arguments].concat()).command {
        Command::Print { plan } => plan.check(),
        other => unreachable!("{other:?} from `print`"),
    }
}

#[cfg(test)]
mod tests;
