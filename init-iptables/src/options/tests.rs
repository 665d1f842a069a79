use super::*;

fn check(arguments: &[&str]) -> Result<Plan, Vec<ArgumentFault>> {
    plan_from(arguments)
}

fn faults(arguments: &[&str]) -> Vec<String> {
    check(arguments).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn the_defaults_are_those_of_the_house() {
    let plan = check(&[]).unwrap();
    assert_eq!((plan.outbound_port, plan.inbound_port), (15001, 15006));
    assert_eq!(plan.own_ports.multiport(), ["15000:15001,15006,15020"]);
    assert_eq!(plan.exempt_uids, BTreeSet::from([1337]));
    assert!(plan.outbound_ports.include.is_all() && plan.inbound_ports.include.is_all());
    assert_eq!(plan.outbound_cidrs.include.len(), 2);
}

#[test]
fn the_proxys_uid_and_listening_ports_are_exempt_whatever_the_lists_say() {
    let plan = check(&[
        "--proxy-uid=7",
        "--exempt-uid=0",
        "--own-ports=9000",
        "--outbound-port=4143",
        "--inbound-port=4140",
    ])
    .unwrap();
    assert_eq!(plan.exempt_uids, BTreeSet::from([0, 7]));
    assert_eq!(plan.own_ports.multiport(), ["4140,4143,9000"]);
}

#[test]
fn lists_may_be_repeated_and_may_be_empty() {
    let repeated = check(&["--exclude-outbound-ports=80", "--exclude-outbound-ports", "443, 90-95"]).unwrap();
    assert_eq!(repeated.outbound_ports.exclude.multiport(), ["80,90:95,443"]);
    let empty = check(&[
        "--include-outbound-ports=",
        "--exempt-gid=",
        "--include-outbound-cidrs=",
    ])
    .unwrap();
    assert_eq!(empty, check(&[]).unwrap());
}

#[test]
fn all_faults_are_reported_at_once_and_each_says_where() {
    let faults = faults(&[
        "--outbound-port=0",
        "--proxy-uid=proxy",
        "--exempt-gid=1,,2",
        "--include-outbound-ports=80,90-80,http",
        "--exclude-outbound-cidrs=10.0.0.0/8,10.1.2.3/8",
        "--leave-interfaces=eth0 eth1",
    ]);
    assert_eq!(
        faults,
        [
            "--outbound-port: `0` is not a port; a port is a number from 1 to 65535",
            "--proxy-uid: `proxy` is not a user number; it is a number from 0 to 4294967294, not a name",
            "--exempt-gid, item 2: is empty; remove the comma",
            "--leave-interfaces, item 1: `eth0 eth1`: is not an interface name; letters, digits and . _ - @ : are, and + at the end",
            "--include-outbound-ports, item 2: `90-80`: the range runs backwards; write 80-90",
            "--include-outbound-ports, item 3: `http`: `http` is not a port; a port is a number from 1 to 65535",
            "--exclude-outbound-cidrs, item 2: `10.1.2.3/8`: bits are set beyond the prefix; write 10.0.0.0/8",
        ]
    );
}

#[test]
fn one_port_cannot_serve_both_directions() {
    assert!(faults(&["--inbound-port=15001"])[0].starts_with("--inbound-port: is 15001 too"));
}

#[test]
fn marks_are_read_in_both_notations_and_written_as_iptables_does() {
    let plan = check(&["--exempt-mark=0x539,16/0xff"]).unwrap();
    let marks: Vec<String> = plan.exempt_marks.iter().map(ToString::to_string).collect();
    assert_eq!(marks, ["0x10/0xff", "0x539"]);
}

#[test]
fn marks_that_match_never_or_always_are_refused() {
    for mark in [
        "0",
        "0/0xff",
        "0x100/0xff",
        "0x",
        "0x1g",
        "+1",
        "1/",
        "4294967296",
        "1/0",
    ] {
        assert_eq!(faults(&[&format!("--exempt-mark={mark}")]).len(), 1, "{mark}");
    }
}

#[test]
fn ids_outside_the_kernels_range_are_refused_and_zero_is_not() {
    assert!(check(&["--exempt-uid=0", "--exempt-gid=0"]).is_ok());
    for id in ["4294967295", "-1", "root", "+5", "0x10", "1-5"] {
        assert_eq!(faults(&[&format!("--exempt-uid={id}")]).len(), 1, "{id}");
    }
}

#[test]
fn interface_names_that_would_break_the_document_are_refused() {
    for name in [
        "-A",
        "a b",
        "a\nb",
        "a\"b",
        "interface-too-long",
        "a/b",
        "+",
        "!eth0",
        "..",
    ] {
        assert_eq!(faults(&[&format!("--leave-interfaces={name}")]).len(), 1, "{name:?}");
    }
}

#[test]
fn unknown_flags_and_commands_are_refused_by_name() {
    for arguments in [
        vec!["install", "--exclude-outbound-port=80"],
        vec!["cleanup", "--proxy-uid=1"],
        vec!["unistall"],
    ] {
        let refusal = Cli::try_parse_from([vec!["evenkeel-init"], arguments.clone()].concat())
            .unwrap_err()
            .to_string();
        assert!(
            refusal.contains(arguments.last().unwrap().split('=').next().unwrap()),
            "{refusal}"
        );
    }
}

#[test]
fn the_command_line_is_well_formed() {
    use clap::CommandFactory;
    Cli::command().debug_assert();
}
