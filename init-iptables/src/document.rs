//! The documents that iptables-restore reads: one for each family, each one transaction.
//!
//! `--noflush` applied twice would double the jumps, and deleting a jump that is not there fails the transaction; so a
//! document is made for the rules that were found, and deletes exactly the jumps among them.

use std::fmt::Write;

use crate::rules::Jump;
use crate::rules::Rules;

/// The document that turns the rules of ours that were `found` into those `wanted`, whatever was there before.
pub fn install(wanted: &Rules, found: &Rules) -> String {
    let mut document = Document::default();
    for chain in &wanted.chains {
        // Declaring a chain of our own makes it or empties it; a built-in chain is never declared, for that would set its policy.
        document.line(&format!(":{} - [0:0]", chain.name));
    }
    document.delete_jumps(&found.jumps);
    let kept = |name: &str| wanted.chains.iter().any(|chain| chain.name == name);
    document.delete_chains(found, |name| !kept(name));
    for chain in &wanted.chains {
        for rule in &chain.rules {
            document.line(&format!("-A {} {rule}", chain.name));
        }
    }
    for jump in &wanted.jumps {
        document.line(&format!("-I {} 1 {}", jump.from, jump.rule));
    }
    document.finish()
}

/// The document that removes every rule of ours that was `found`.
pub fn cleanup(found: &Rules) -> String {
    install(&Rules::default(), found)
}

/// A document that asks the kernel for everything that our rules need and leaves nothing behind.
pub fn probe() -> String {
    let mut document = Document::default();
    document.line(":EVENKEEL_PROBE - [0:0]");
    document.line("-A EVENKEEL_PROBE -p tcp -m owner --uid-owner 0 -m multiport --dports 1 -j REDIRECT --to-ports 1");
    document.line("-F EVENKEEL_PROBE");
    document.line("-X EVENKEEL_PROBE");
    document.finish()
}

#[derive(Default)]
struct Document {
    lines: String,
}

impl Document {
    fn line(&mut self, line: &str) {
        writeln!(self.lines, "{line}").expect("writing to a string cannot fail");
    }

    fn delete_jumps(&mut self, jumps: &[Jump]) {
        for Jump { from, rule, .. } in jumps {
            self.line(&format!("-D {from} {rule}"));
        }
    }

    /// Empties all of them before it removes the first: a chain that another one leads to cannot be removed.
    fn delete_chains(&mut self, found: &Rules, gone: impl Fn(&str) -> bool) {
        let gone: Vec<&str> = found
            .chains
            .iter()
            .map(|chain| chain.name.as_str())
            .filter(|name| gone(name))
            .collect();
        for name in &gone {
            self.line(&format!("-F {name}"));
        }
        for name in &gone {
            self.line(&format!("-X {name}"));
        }
    }

    fn finish(self) -> String {
        format!("*nat\n{}COMMIT\n", self.lines)
    }
}

#[cfg(test)]
mod tests {
    use crate::family::Family;
    use crate::options::plan_from;
    use crate::saved;

    use super::*;

    const FRESH_V4: &str = "\
*nat
:EVENKEEL_OUTPUT - [0:0]
:EVENKEEL_REDIRECT - [0:0]
:EVENKEEL_INBOUND - [0:0]
:EVENKEEL_IN_REDIRECT - [0:0]
-A EVENKEEL_OUTPUT -m owner --uid-owner 1337 -j RETURN
-A EVENKEEL_OUTPUT -o lo -j RETURN
-A EVENKEEL_OUTPUT -d 127.0.0.0/8 -j RETURN
-A EVENKEEL_OUTPUT -p tcp -m multiport --dports 15000:15001,15006,15020 -j RETURN
-A EVENKEEL_OUTPUT -j EVENKEEL_REDIRECT
-A EVENKEEL_REDIRECT -p tcp -j REDIRECT --to-ports 15001
-A EVENKEEL_INBOUND -i lo -j RETURN
-A EVENKEEL_INBOUND -p tcp -m multiport --dports 15000:15001,15006,15020 -j RETURN
-A EVENKEEL_INBOUND -j EVENKEEL_IN_REDIRECT
-A EVENKEEL_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006
-I OUTPUT 1 -p tcp -j EVENKEEL_OUTPUT
-I PREROUTING 1 -p tcp -j EVENKEEL_INBOUND
COMMIT
";

    fn wanted(family: Family) -> Rules {
        Rules::of(&plan_from(&[]).unwrap(), family)
    }

    #[test]
    fn the_document_of_the_defaults_is_exactly_this() {
        assert_eq!(install(&wanted(Family::V4), &Rules::default()), FRESH_V4);
        let v6 = FRESH_V4.replace("127.0.0.0/8", "::1/128");
        assert_eq!(install(&wanted(Family::V6), &Rules::default()), v6);
    }

    #[test]
    fn every_jump_found_is_deleted_exactly_as_often_as_it_was_found() {
        let found = saved::parse(
            "*nat\n:EVENKEEL_OUTPUT - [0:0]\n-A OUTPUT -j EVENKEEL_OUTPUT\n-A OUTPUT -j EVENKEEL_OUTPUT\n-A NAT_OF_OTHERS -m comment --comment \"a -j b\" -j EVENKEEL_OUTPUT\nCOMMIT\n",
        );
        let document = install(&wanted(Family::V4), &found);
        let deleted: Vec<&str> = document.lines().filter(|line| line.starts_with("-D")).collect();
        assert_eq!(
            deleted,
            [
                "-D OUTPUT -j EVENKEEL_OUTPUT",
                "-D OUTPUT -j EVENKEEL_OUTPUT",
                "-D NAT_OF_OTHERS -m comment --comment \"a -j b\" -j EVENKEEL_OUTPUT",
            ]
        );
    }

    #[test]
    fn chains_of_another_version_are_emptied_and_removed() {
        let found = saved::parse("*nat\n:EVENKEEL_OLD - [0:0]\n:EVENKEEL_OUTPUT - [0:0]\nCOMMIT\n");
        let document = install(&wanted(Family::V4), &found);
        assert!(document.contains("-F EVENKEEL_OLD\n-X EVENKEEL_OLD\n"));
        assert!(!document.contains("-X EVENKEEL_OUTPUT"));
    }

    #[test]
    fn cleanup_names_nothing_that_is_not_ours() {
        let found = saved::parse(
            "*nat\n:OUTPUT ACCEPT [0:0]\n:OTHERS - [0:0]\n:EVENKEEL_A - [0:0]\n:EVENKEEL_B - [0:0]\n-A OUTPUT -p tcp -j EVENKEEL_A\n-A OUTPUT -j OTHERS\n-A EVENKEEL_A -j EVENKEEL_B\nCOMMIT\n",
        );
        assert_eq!(
            cleanup(&found),
            "*nat\n-D OUTPUT -p tcp -j EVENKEEL_A\n-F EVENKEEL_A\n-F EVENKEEL_B\n-X EVENKEEL_A\n-X EVENKEEL_B\nCOMMIT\n"
        );
    }

    #[test]
    fn no_document_declares_a_built_in_chain() {
        for document in [install(&wanted(Family::V4), &Rules::default()), probe()] {
            assert!(
                document
                    .lines()
                    .filter(|line| line.starts_with(':'))
                    .all(|line| line.starts_with(":EVENKEEL_"))
            );
        }
    }
}
