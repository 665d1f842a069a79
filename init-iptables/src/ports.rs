//! Sets of TCP ports, and how iptables' `multiport` match takes them.

use std::fmt;

/// How many ports one `multiport` match holds; a range takes two places (`XT_MULTI_PORTS` of the kernel).
const MULTIPORT_PLACES: usize = 15;

/// Ports from `first` to `last`, both included; `first <= last`, neither is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// Reads `80`, `8000-8999` or `8000:8999`; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<PortRange, String> {
        let Some((first, last)) = text.split_once(['-', ':']) else {
            let port = parse_port(text)?;
            return Ok(PortRange {
                first: port,
                last: port,
            });
        };
        let (first, last) = (parse_port(first)?, parse_port(last)?);
        if first > last {
            return Err(format!("the range runs backwards; write {last}-{first}"));
        }
        Ok(PortRange { first, last })
    }

    fn places(self) -> usize {
        if self.first == self.last { 1 } else { 2 }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}:{}", self.first, self.last)
        }
    }
}

/// Reads one port, 1 to 65535; the error says what is wrong with it.
pub fn parse_port(text: &str) -> Result<u16, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port) if digits && port > 0 => Ok(port),
        _ => Err(format!("`{text}` is not a port; a port is a number from 1 to 65535")),
    }
}

/// Ports in order, overlapping and adjoining ranges joined, so that equal sets are written alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortSet(Vec<PortRange>);

impl PortSet {
    /// Every port.
    pub fn all() -> PortSet {
        PortSet(vec![PortRange {
            first: 1,
            last: u16::MAX,
        }])
    }

    /// The set that these ranges cover together.
    pub fn of(mut ranges: Vec<PortRange>) -> PortSet {
        ranges.sort_unstable();
        let mut joined: Vec<PortRange> = Vec::new();
        for range in ranges {
            match joined.last_mut() {
                Some(before) if range.first <= before.last.saturating_add(1) => {
                    before.last = before.last.max(range.last);
                }
                _ => joined.push(range),
            }
        }
        PortSet(joined)
    }

    /// Whether `port` is in the set.
    pub fn contains(&self, port: u16) -> bool {
        self.0.iter().any(|range| (range.first..=range.last).contains(&port))
    }

    /// Whether the set is [`PortSet::all`], for which no match is needed.
    pub fn is_all(&self) -> bool {
        *self == PortSet::all()
    }

    /// The arguments of as many `--dports` as it takes, none longer than the kernel allows.
    pub fn multiport(&self) -> Vec<String> {
        let mut arguments: Vec<(usize, String)> = Vec::new();
        for range in &self.0 {
            match arguments.last_mut() {
                Some((places, list)) if *places + range.places() <= MULTIPORT_PLACES => {
                    *places += range.places();
                    *list = format!("{list},{range}");
                }
                _ => arguments.push((range.places(), range.to_string())),
            }
        }
        arguments.into_iter().map(|(_, list)| list).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(items: &[&str]) -> PortSet {
        PortSet::of(items.iter().map(|item| PortRange::parse(item).unwrap()).collect())
    }

    #[test]
    fn ranges_are_read_with_a_dash_or_a_colon() {
        assert_eq!(PortRange::parse("80-90"), PortRange::parse("80:90"));
        assert_eq!(PortRange::parse("80").unwrap().to_string(), "80");
    }

    #[test]
    fn what_is_not_a_port_is_refused() {
        for text in [
            "",
            "0",
            "65536",
            "+80",
            "-1",
            "80-",
            "-",
            "0-5",
            "http",
            "8 0",
            "80-90-100",
            "1:2:3",
        ] {
            assert!(PortRange::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_backward_range_is_refused_with_the_right_way_round() {
        assert_eq!(
            PortRange::parse("90-80").unwrap_err(),
            "the range runs backwards; write 80-90"
        );
    }

    #[test]
    fn overlapping_and_adjoining_ranges_are_joined() {
        assert_eq!(set(&["90-95", "80", "81-90", "443", "443"]).multiport(), ["80:95,443"]);
    }

    #[test]
    fn every_port_needs_no_match() {
        assert!(set(&["1-1024", "1025-65535"]).is_all());
        assert!(!set(&["2-65535"]).is_all());
    }

    #[test]
    fn more_than_fifteen_ports_are_split() {
        let ports: Vec<String> = (1..=32).map(|n| (n * 10).to_string()).collect();
        let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
        let lists = set(&ports).multiport();
        let lengths: Vec<usize> = lists.iter().map(|list| list.split(',').count()).collect();
        assert_eq!(lengths, [15, 15, 2]);
    }

    #[test]
    fn a_range_takes_two_of_the_fifteen_places() {
        let ranges: Vec<String> = (1..=8).map(|n| format!("{}-{}", n * 100, n * 100 + 5)).collect();
        let ranges: Vec<&str> = ranges.iter().map(String::as_str).collect();
        let lists = set(&ranges).multiport();
        assert_eq!(lists.len(), 2);
        assert_eq!(lists[0].split(',').count(), 7);
    }

    #[test]
    fn a_set_contains_its_ports_and_no_others() {
        let set = set(&["80", "8000-8010"]);
        assert!(set.contains(80) && set.contains(8000) && set.contains(8010));
        assert!(!set.contains(81) && !set.contains(7999) && !set.contains(8011));
    }
}
