//! What a [`Plan`] means in rules: our chains and the jumps that lead to them, for one family.

use crate::cidr::Cidr;
use crate::family::Family;
use crate::plan::Plan;
use crate::ports::PortSet;

/// Every chain whose name begins so is ours, those of other versions included; no other chain is.
pub const CHAIN_PREFIX: &str = "EVENKEEL_";

const OUTPUT: &str = "EVENKEEL_OUTPUT";
const REDIRECT: &str = "EVENKEEL_REDIRECT";
const INBOUND: &str = "EVENKEEL_INBOUND";
const IN_REDIRECT: &str = "EVENKEEL_IN_REDIRECT";

/// A chain of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its name.
    pub name: String,
    /// Its rules in order, without `-A NAME`.
    pub rules: Vec<String>,
}

/// A rule in a chain that is not ours which leads to one that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jump {
    /// The chain that the rule is in.
    pub from: String,
    /// The rule, without `-A CHAIN`.
    pub rule: String,
    /// How many rules stand before it.
    pub preceding: usize,
}

/// All rules of ours in the nat table of one family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Our chains.
    pub chains: Vec<Chain>,
    /// What leads to them.
    pub jumps: Vec<Jump>,
}

impl Rules {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.chains.is_empty() && self.jumps.is_empty()
    }

    /// The rules that `plan` asks for, written as iptables-save prints them.
    pub fn of(plan: &Plan, family: Family) -> Rules {
        if !plan.redirects(family) {
            return Rules::default();
        }
        Rules {
            chains: vec![
                Chain {
                    name: OUTPUT.to_owned(),
                    rules: outbound(plan, family),
                },
                Chain {
                    name: REDIRECT.to_owned(),
                    rules: vec![redirect(plan.outbound_port)],
                },
                Chain {
                    name: INBOUND.to_owned(),
                    rules: inbound(plan),
                },
                Chain {
                    name: IN_REDIRECT.to_owned(),
                    rules: vec![redirect(plan.inbound_port)],
                },
            ],
            // First in their chains: a rule of somebody else in front could lead traffic round the proxy.
            jumps: vec![jump("OUTPUT", OUTPUT), jump("PREROUTING", INBOUND)],
        }
    }
}

fn jump(from: &str, to: &str) -> Jump {
    Jump {
        from: from.to_owned(),
        rule: format!("-p tcp -j {to}"),
        preceding: 0,
    }
}

fn redirect(port: u16) -> String {
    format!("-p tcp -j REDIRECT --to-ports {port}")
}

/// Who connects comes before where to: the proxy is exempt whatever the lists say.
fn outbound(plan: &Plan, family: Family) -> Vec<String> {
    let mut rules = Vec::new();
    rules.extend(
        plan.exempt_uids
            .iter()
            .map(|uid| format!("-m owner --uid-owner {uid} -j RETURN")),
    );
    rules.extend(
        plan.exempt_gids
            .iter()
            .map(|gid| format!("-m owner --gid-owner {gid} -j RETURN")),
    );
    rules.extend(
        plan.exempt_marks
            .iter()
            .map(|mark| format!("-m mark --mark {mark} -j RETURN")),
    );
    rules.push("-o lo -j RETURN".to_owned());
    rules.push(format!("-d {} -j RETURN", family.loopback_range()));
    rules.extend(
        plan.left_interfaces
            .iter()
            .map(|interface| format!("-o {interface} -j RETURN")),
    );
    let excluded = plan
        .outbound_cidrs
        .exclude
        .iter()
        .filter(|cidr| cidr.family() == family);
    rules.extend(excluded.map(|cidr| to_block(*cidr, "-j RETURN")));
    rules.extend(to_ports(&plan.own_ports, "-j RETURN"));
    rules.extend(to_ports(&plan.outbound_ports.exclude, "-j RETURN"));
    for cidr in plan
        .outbound_cidrs
        .include
        .iter()
        .filter(|cidr| cidr.family() == family)
    {
        let included = to_ports(&plan.outbound_ports.include, &format!("-j {REDIRECT}"));
        rules.extend(included.iter().map(|rule| to_block(*cidr, rule)));
    }
    rules
}

fn inbound(plan: &Plan) -> Vec<String> {
    let mut rules = vec!["-i lo -j RETURN".to_owned()];
    rules.extend(
        plan.left_interfaces
            .iter()
            .map(|interface| format!("-i {interface} -j RETURN")),
    );
    rules.extend(to_ports(&plan.own_ports, "-j RETURN"));
    rules.extend(to_ports(&plan.inbound_ports.exclude, "-j RETURN"));
    rules.extend(to_ports(&plan.inbound_ports.include, &format!("-j {IN_REDIRECT}")));
    rules
}

fn to_block(cidr: Cidr, rest: &str) -> String {
    if cidr.is_everything() {
        rest.to_owned()
    } else {
        format!("-d {cidr} {rest}")
    }
}

fn to_ports(ports: &PortSet, target: &str) -> Vec<String> {
    if ports.is_all() {
        return vec![target.to_owned()];
    }
    ports
        .multiport()
        .iter()
        .map(|list| format!("-p tcp -m multiport --dports {list} {target}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::options::plan_from;

    use super::*;

    fn rules(arguments: &[&str], family: Family) -> Rules {
        Rules::of(&plan_from(arguments).unwrap(), family)
    }

    fn chain(rules: &Rules, name: &str) -> Vec<String> {
        rules
            .chains
            .iter()
            .find(|chain| chain.name == name)
            .unwrap()
            .rules
            .clone()
    }

    #[test]
    fn the_proxy_is_exempt_before_anything_else_is_asked() {
        let rules = rules(&["--exempt-uid=0", "--exempt-gid=5", "--exempt-mark=0x7"], Family::V4);
        assert_eq!(
            chain(&rules, OUTPUT)[..6],
            [
                "-m owner --uid-owner 0 -j RETURN",
                "-m owner --uid-owner 1337 -j RETURN",
                "-m owner --gid-owner 5 -j RETURN",
                "-m mark --mark 0x7 -j RETURN",
                "-o lo -j RETURN",
                "-d 127.0.0.0/8 -j RETURN",
            ]
        );
    }

    #[test]
    fn exclusions_stand_before_inclusions() {
        let rules = rules(
            &[
                "--include-outbound-ports=80,443",
                "--exclude-outbound-ports=443",
                "--include-outbound-cidrs=10.0.0.0/8,2001:db8::/32",
                "--exclude-outbound-cidrs=10.1.0.0/16",
            ],
            Family::V4,
        );
        assert_eq!(
            chain(&rules, OUTPUT)[3..],
            [
                "-d 10.1.0.0/16 -j RETURN",
                "-p tcp -m multiport --dports 15000:15001,15006,15020 -j RETURN",
                "-p tcp -m multiport --dports 443 -j RETURN",
                "-d 10.0.0.0/8 -p tcp -m multiport --dports 80,443 -j EVENKEEL_REDIRECT",
            ]
        );
    }

    #[test]
    fn blocks_reach_the_table_of_their_own_family_only() {
        let arguments = ["--exclude-outbound-cidrs=10.0.0.0/8,2001:db8::/32"];
        assert!(
            !chain(&rules(&arguments, Family::V6), OUTPUT)
                .iter()
                .any(|rule| rule.contains("10.0.0.0"))
        );
        assert!(chain(&rules(&arguments, Family::V6), OUTPUT).contains(&"-d 2001:db8::/32 -j RETURN".to_owned()));
    }

    #[test]
    fn a_family_of_which_nothing_is_included_redirects_nothing() {
        let outbound = chain(&rules(&["--include-outbound-cidrs=10.0.0.0/8"], Family::V6), OUTPUT);
        assert!(!outbound.iter().any(|rule| rule.contains("EVENKEEL_REDIRECT")));
    }

    #[test]
    fn many_included_ports_make_several_rules_for_each_block() {
        let ports: Vec<String> = (1..=20).map(|n| (n * 10).to_string()).collect();
        let ports = format!("--include-outbound-ports={}", ports.join(","));
        let rules = rules(
            &[&ports, "--include-outbound-cidrs=10.0.0.0/8,192.168.0.0/16"],
            Family::V4,
        );
        let redirecting = chain(&rules, OUTPUT)
            .iter()
            .filter(|rule| rule.ends_with("EVENKEEL_REDIRECT"))
            .count();
        assert_eq!(redirecting, 4);
    }

    #[test]
    fn inbound_leaves_loopback_interfaces_and_the_proxys_ports_alone() {
        let rules = rules(&["--leave-interfaces=net1", "--exclude-inbound-ports=9090"], Family::V6);
        assert_eq!(
            chain(&rules, INBOUND),
            [
                "-i lo -j RETURN",
                "-i net1 -j RETURN",
                "-p tcp -m multiport --dports 15000:15001,15006,15020 -j RETURN",
                "-p tcp -m multiport --dports 9090 -j RETURN",
                "-j EVENKEEL_IN_REDIRECT",
            ]
        );
    }

    #[test]
    fn without_ipv6_there_are_no_rules_of_it() {
        assert!(rules(&["--ipv6=off"], Family::V6).is_empty());
        assert!(!rules(&["--ipv6=off"], Family::V4).is_empty());
    }
}
