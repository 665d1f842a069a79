//! Which rule a request falls under. A pure decider: paths in, a rule out.

use std::time::Duration;

/// The rules of one listener, in the order in which they are tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    rules: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// A path prefix; `/` matches everything, the `*` of OPTIONS and the authority of CONNECT included.
    pub prefix: String,
    /// Where to: the cluster's place in the snapshot.
    pub cluster: usize,
    /// For the whole exchange; `None`: no limit.
    pub timeout: Option<Duration>,
}

impl Table {
    /// Rules in the order in which they are tried.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self { rules }
    }

    /// The first rule that matches.
    pub fn find(&self, path: &[u8]) -> Option<&Rule> {
        self.rules
            .iter()
            .find(|rule| rule.prefix == "/" || path.starts_with(rule.prefix.as_bytes()))
    }

    /// Every rule.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(prefix: &str, cluster: usize) -> Rule {
        Rule {
            prefix: prefix.to_owned(),
            cluster,
            timeout: None,
        }
    }

    #[test]
    fn the_first_rule_that_matches_wins() {
        let table = Table::new(vec![rule("/api/", 1), rule("/", 2)]);
        assert_eq!(table.find(b"/api/v1").map(|rule| rule.cluster), Some(1));
        assert_eq!(table.find(b"/apiary").map(|rule| rule.cluster), Some(2));
    }

    #[test]
    fn the_root_prefix_matches_what_is_no_path_at_all() {
        let table = Table::new(vec![rule("/", 0)]);
        assert!(table.find(b"*").is_some());
        assert!(table.find(b"db.example:3306").is_some());
    }

    #[test]
    fn no_rule_no_match() {
        assert_eq!(Table::new(vec![rule("/api", 0)]).find(b"/other"), None);
    }
}
