//! A Service's virtual address as kube-proxy's iptables mode makes it: DNAT on the node, one endpoint per *connection*,
//! picked by the `statistic` match. This is the balancing that a mesh is compared with.

use std::fmt::Write;

use anyhow::Result;

use crate::namespace::Namespace;
use crate::service::Port;
use crate::service::Service;

/// Adds the service's rules to the node's nat table, in one transaction.
pub(crate) fn install(node: &Namespace, service: &Service) -> Result<()> {
    let restore = if service.vip().is_ipv4() {
        "iptables-restore"
    } else {
        "ip6tables-restore"
    };
    node.exec_with_input(&[restore, "--noflush", "-w"], &rules(service))
        .map(drop)
}

fn rules(service: &Service) -> String {
    let mut rules = String::from("*nat\n");
    for port in service.ports() {
        chain(&mut rules, service, port);
    }
    rules + "COMMIT\n"
}

/// One chain a port. Endpoint `i` of `n` is taken with probability `1 / (n - i)`, which gives each the same share.
fn chain(rules: &mut String, service: &Service, port: &Port) {
    let (vip, number) = (service.vip(), port.number());
    // A chain's name holds 28 characters at most; the last group of an address and a port tell our services apart.
    let last = vip.to_string().rsplit(['.', ':']).next().unwrap_or_default().to_owned();
    let name = format!("KUBE-SVC-{last}-{number}");
    let endpoints: Vec<_> = port.endpoints().collect();
    let _ = writeln!(rules, ":{name} - [0:0]");
    let _ = writeln!(rules, "-A PREROUTING -d {vip} -p tcp --dport {number} -j {name}");
    for (index, endpoint) in endpoints.iter().enumerate() {
        let probability = 1.0 / (endpoints.len() - index) as f64;
        let pick = match endpoints.len() - index {
            1 => String::new(),
            _ => format!("-m statistic --mode random --probability {probability:.11} "),
        };
        let _ = writeln!(rules, "-A {name} -p tcp {pick}-j DNAT --to-destination {endpoint}");
        // A pod that reaches itself through the VIP must not see its own address as its peer (kube-proxy's hairpin).
        let pod = endpoint.ip();
        let _ = writeln!(rules, "-A POSTROUTING -s {pod} -d {pod} -p tcp -j MASQUERADE");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Family;

    #[test]
    fn each_endpoint_has_the_same_chance_and_the_last_takes_the_rest() {
        let endpoints = ["10.244.0.2:8080", "10.244.0.3:8080"].map(|address| address.parse().unwrap());
        let rules = rules(&Service::new("web", Family::V4.vip(10)).with(Port::new(80, endpoints)));
        let picks: Vec<&str> = rules.lines().filter(|line| line.contains("DNAT")).collect();
        assert_eq!(
            picks,
            [
                "-A KUBE-SVC-10-80 -p tcp -m statistic --mode random --probability 0.50000000000 -j DNAT --to-destination 10.244.0.2:8080",
                "-A KUBE-SVC-10-80 -p tcp -j DNAT --to-destination 10.244.0.3:8080",
            ]
        );
    }
}
