//! Reads what `iptables-save -t nat` printed: our chains, every jump to them wherever it stands, and how that differs
//! from what should be there.

use std::collections::BTreeMap;
use std::fmt;

use crate::rules::CHAIN_PREFIX;
use crate::rules::Chain;
use crate::rules::Jump;
use crate::rules::Rules;

/// How the rules found differ from the rules wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// A chain of ours is not there.
    ChainMissing {
        /// Its name.
        chain: String,
    },
    /// A chain is there that should not be.
    ChainUnexpected {
        /// Its name.
        chain: String,
    },
    /// A chain has another rule at this place, or none, or one too many.
    Rule {
        /// The chain.
        chain: String,
        /// The place, counted from 1.
        place: usize,
        /// What should be there.
        wanted: Option<String>,
        /// What is there.
        found: Option<String>,
    },
    /// A jump to one of our chains is not there, so that the chain is never asked.
    JumpMissing {
        /// The chain that should have it.
        from: String,
        /// The rule.
        rule: String,
    },
    /// A jump that should not be there, or is there twice.
    JumpUnexpected {
        /// The chain that has it.
        from: String,
        /// The rule.
        rule: String,
    },
    /// Rules of somebody else stand before our jump and see connections first.
    Preceded {
        /// The chain.
        from: String,
        /// How many there are.
        rules: usize,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |rule: &Option<String>| rule.as_ref().map_or("nothing".to_owned(), |rule| format!("`{rule}`"));
        match self {
            Difference::ChainMissing { chain } => write!(f, "the chain {chain} is missing"),
            Difference::ChainUnexpected { chain } => write!(f, "there is a chain {chain} that should not be there"),
            Difference::Rule {
                chain,
                place,
                wanted,
                found,
            } => {
                write!(
                    f,
                    "rule {place} of the chain {chain} should be {} and is {}",
                    text(wanted),
                    text(found)
                )
            }
            Difference::JumpMissing { from, rule } => write!(f, "the rule `{rule}` is missing from the chain {from}"),
            Difference::JumpUnexpected { from, rule } => {
                write!(
                    f,
                    "there is a rule `{rule}` in the chain {from} that should not be there, or is there twice"
                )
            }
            Difference::Preceded { from, rules } => {
                write!(
                    f,
                    "{rules} rule(s) that are not ours stand before our jump in the chain {from} and go first"
                )
            }
        }
    }
}

/// Our part of the nat table that `text` shows.
pub fn parse(text: &str) -> Rules {
    let mut chains: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut jumps = Vec::new();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut in_nat = false;
    for line in text.lines() {
        if let Some(table) = line.strip_prefix('*') {
            in_nat = table.trim() == "nat";
        } else if !in_nat {
            // Only a save of every table has other sections, and we have no rules there.
        } else if let Some(chain) = line
            .strip_prefix(':')
            .and_then(|declared| declared.split_whitespace().next())
        {
            if chain.starts_with(CHAIN_PREFIX) {
                chains.entry(chain).or_default();
            }
        } else if let Some((chain, rule)) = line.strip_prefix("-A ").and_then(|rest| rest.split_once(' ')) {
            let preceding = seen.entry(chain).or_default();
            if chain.starts_with(CHAIN_PREFIX) {
                chains.entry(chain).or_default().push(rule.to_owned());
            } else if leads_to_us(rule) {
                jumps.push(Jump {
                    from: chain.to_owned(),
                    rule: rule.to_owned(),
                    preceding: *preceding,
                });
            }
            *preceding += 1;
        }
    }
    let chains = chains
        .into_iter()
        .map(|(name, rules)| Chain {
            name: name.to_owned(),
            rules,
        })
        .collect();
    Rules { chains, jumps }
}

/// Whether iptables-nft found a nat table that it cannot show, because something other than iptables wrote to it.
pub fn is_unreadable(text: &str) -> bool {
    text.lines()
        .any(|line| line.starts_with('#') && line.contains("`nat' is incompatible"))
}

/// Every way in which `found` is not what is `wanted`; nothing when it is.
pub fn differences(wanted: &Rules, found: &Rules) -> Vec<Difference> {
    let mut differences = Vec::new();
    for chain in &wanted.chains {
        match found.chains.iter().find(|candidate| candidate.name == chain.name) {
            None => differences.push(Difference::ChainMissing {
                chain: chain.name.clone(),
            }),
            Some(there) => differences.extend(first_difference(chain, there)),
        }
    }
    let unexpected = found
        .chains
        .iter()
        .filter(|chain| !wanted.chains.iter().any(|other| other.name == chain.name));
    differences.extend(unexpected.map(|chain| Difference::ChainUnexpected {
        chain: chain.name.clone(),
    }));
    let mut left: Vec<&Jump> = found.jumps.iter().collect();
    for jump in &wanted.jumps {
        let place = left
            .iter()
            .position(|there| there.from == jump.from && terms(&there.rule) == terms(&jump.rule));
        match place.map(|place| left.remove(place).preceding) {
            None => differences.push(Difference::JumpMissing {
                from: jump.from.clone(),
                rule: jump.rule.clone(),
            }),
            Some(0) => (),
            Some(rules) => differences.push(Difference::Preceded {
                from: jump.from.clone(),
                rules,
            }),
        }
    }
    differences.extend(left.into_iter().map(|jump| {
        let Jump { from, rule, .. } = jump.clone();
        Difference::JumpUnexpected { from, rule }
    }));
    differences
}

fn first_difference(wanted: &Chain, found: &Chain) -> Option<Difference> {
    let length = wanted.rules.len().max(found.rules.len());
    let place = (0..length).find(|&place| {
        wanted.rules.get(place).map(|rule| terms(rule)) != found.rules.get(place).map(|rule| terms(rule))
    })?;
    Some(Difference::Rule {
        chain: wanted.name.clone(),
        place: place + 1,
        wanted: wanted.rules.get(place).cloned(),
        found: found.rules.get(place).cloned(),
    })
}

/// Whether a rule's target is a chain of ours.
fn leads_to_us(rule: &str) -> bool {
    words(rule)
        .windows(2)
        .any(|pair| matches!(pair, ["-j" | "-g", target] if target.starts_with(CHAIN_PREFIX)))
}

/// A rule's options in an order of their own, for versions of iptables print them in different orders. The names of the
/// matches are left out: their options tell, and some versions add a `-m tcp` without any.
fn terms(rule: &str) -> Vec<Vec<&str>> {
    let mut terms: Vec<Vec<&str>> = Vec::new();
    for word in words(rule) {
        match terms.last_mut() {
            Some(term) if *term == ["!"] || !(word.starts_with('-') || word == "!") => term.push(word),
            _ => terms.push(vec![word]),
        }
    }
    terms.retain(|term| term.first() != Some(&"-m"));
    terms.sort_unstable();
    terms
}

/// The words of a rule; a quoted comment is one of them, whatever it says.
fn words(rule: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = rule.trim_start();
    while !rest.is_empty() {
        let end = if rest.starts_with('"') {
            after_quotes(rest)
        } else {
            rest.find(' ').unwrap_or(rest.len())
        };
        words.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    words
}

/// Where the quoted text ends that `text` begins with; iptables-save escapes with a backslash.
fn after_quotes(text: &str) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => (),
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use crate::family::Family;
    use crate::options::plan_from;

    use super::*;

    fn wanted() -> Rules {
        Rules::of(&plan_from(&[]).unwrap(), Family::V4)
    }

    fn saved(rules: &Rules) -> String {
        let declared = rules.chains.iter().map(|chain| format!(":{} - [0:0]\n", chain.name));
        let jumps = rules
            .jumps
            .iter()
            .map(|jump| format!("-A {} {}\n", jump.from, jump.rule));
        let chains = rules.chains.iter().flat_map(|chain| {
            chain
                .rules
                .iter()
                .map(move |rule| format!("-A {} {rule}\n", chain.name))
        });
        let body: String = declared.chain(jumps).chain(chains).collect();
        format!("# Generated by iptables-nft-save\n*nat\n:OUTPUT ACCEPT [1:60]\n{body}COMMIT\n# Completed\n")
    }

    #[test]
    fn what_was_asked_for_is_found_again_without_a_difference() {
        assert_eq!(differences(&wanted(), &parse(&saved(&wanted()))), []);
    }

    #[test]
    fn an_empty_table_has_none_of_our_rules() {
        assert!(parse("*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p tcp -j ACCEPT\nCOMMIT\n").is_empty());
        assert!(parse("").is_empty());
    }

    #[test]
    fn the_order_and_the_match_names_that_a_version_prints_make_no_difference() {
        let text = saved(&wanted())
            .replace(
                "-p tcp -m multiport --dports 15000:15001,15006,15020",
                "-m tcp -m multiport --dports 15000:15001,15006,15020 -p tcp",
            )
            .replace("-A OUTPUT -p tcp -j", "-A OUTPUT -p tcp -m tcp -j");
        assert!(text.contains("-m tcp"));
        assert_eq!(differences(&wanted(), &parse(&text)), []);
    }

    #[test]
    fn a_changed_or_missing_or_surplus_rule_is_a_difference() {
        for (from, to, place) in [
            ("--uid-owner 1337", "--uid-owner 1338", 1),
            ("--uid-owner 1337", "! --uid-owner 1337", 1),
            ("-A EVENKEEL_OUTPUT -o lo -j RETURN\n", "", 2),
            ("COMMIT", "-A EVENKEEL_OUTPUT -j RETURN\nCOMMIT", 6),
        ] {
            let found = parse(&saved(&wanted()).replace(from, to));
            let differences = differences(&wanted(), &found);
            assert!(
                matches!(&differences[..], [Difference::Rule { place: at, .. }] if *at == place),
                "{differences:?}"
            );
        }
    }

    #[test]
    fn a_jump_that_is_missing_doubled_or_preceded_is_a_difference() {
        let jump = "-A OUTPUT -p tcp -j EVENKEEL_OUTPUT\n";
        for (to, expected) in [
            (
                String::new(),
                "the rule `-p tcp -j EVENKEEL_OUTPUT` is missing from the chain OUTPUT",
            ),
            (jump.repeat(2), "that should not be there, or is there twice"),
            (
                format!("-A OUTPUT -j FOREIGN\n{jump}"),
                "1 rule(s) that are not ours stand before our jump",
            ),
        ] {
            let differences = differences(&wanted(), &parse(&saved(&wanted()).replace(jump, &to)));
            assert!(
                differences.len() == 1 && differences[0].to_string().contains(expected),
                "{differences:?}"
            );
        }
    }

    #[test]
    fn jumps_are_found_in_foreign_chains_and_with_goto() {
        let text =
            "*nat\n:EVENKEEL_OLD - [0:0]\n-A FOREIGN -p tcp -g EVENKEEL_OLD\n-A EVENKEEL_OLD -j EVENKEEL_OLD\nCOMMIT\n";
        let found = parse(text);
        assert_eq!(found.jumps.len(), 1);
        assert_eq!(found.jumps[0].from, "FOREIGN");
        assert_eq!(found.chains[0].rules, ["-j EVENKEEL_OLD"]);
    }

    #[test]
    fn a_comment_that_reads_like_a_jump_is_not_one() {
        let text = r#"*nat
-A OUTPUT -m comment --comment "say \"-j EVENKEEL_OUTPUT \" or -j EVENKEEL_OUTPUT here" -j ACCEPT
COMMIT
"#;
        assert!(parse(text).is_empty());
    }

    #[test]
    fn other_tables_and_names_that_merely_resemble_ours_are_not_ours() {
        let text = "*filter\n-A OUTPUT -j EVENKEEL_X\nCOMMIT\n*nat\n:MY_EVENKEEL_X - [0:0]\n-A OUTPUT -j MY_EVENKEEL_X\nCOMMIT\n";
        assert!(parse(text).is_empty());
    }

    #[test]
    fn a_table_that_iptables_cannot_show_is_recognised() {
        assert!(is_unreadable("# Table `nat' is incompatible, use 'nft' tool.\n"));
        assert!(!is_unreadable(&saved(&wanted())));
    }
}
