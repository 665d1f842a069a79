//! What `verify` accepts, and the sentences with which it fails.

use std::process::Output;

use anyhow::Result;
use evenkeel_tests::binaries;
use evenkeel_tests::namespace::Namespace;

use crate::setting::BACKENDS;
use crate::setting::FAMILIES;
use crate::setting::Setting;
use crate::setting::at;
use crate::setting::attempt;
use crate::setting::init;
use crate::setting::listen;
use crate::setting::said;

/// Nothing but what an init container has.
const CAPABILITIES: &str = "-all,+net_admin,+net_raw";

fn as_init_container(pod: &Namespace, arguments: &[&str]) -> Result<Output> {
    let mut confined = pod.command("setpriv");
    confined.args([
        format!("--bounding-set={CAPABILITIES}"),
        format!("--inh-caps={CAPABILITIES}"),
    ]);
    confined.arg("--").arg(binaries::path("evenkeel-init")?).args(arguments);
    Ok(confined.output()?)
}

fn refuses(pod: &Namespace, arguments: &[&str], sentence: &str) -> Result<()> {
    let output = attempt(pod, arguments)?;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains(sentence),
        "{sentence:?} is not in: {}",
        said(&output)
    );
    Ok(())
}

#[test]
fn what_was_installed_verifies_with_the_capabilities_of_an_init_container() -> Result<()> {
    for backend in BACKENDS {
        let setting = Setting::new()?;
        for arguments in [vec!["install", "--backend", backend], vec!["verify"]] {
            let output = as_init_container(&setting.pod, &arguments)?;
            assert!(output.status.success(), "{arguments:?}: {}", said(&output));
            if arguments == ["verify"] {
                assert_eq!(
                    said(&output).matches("arrives at the proxy's port").count(),
                    2,
                    "{}",
                    said(&output)
                );
            }
        }
    }
    Ok(())
}

#[test]
fn a_pod_without_redirection_fails() -> Result<()> {
    let setting = Setting::new()?;
    refuses(&setting.pod, &["verify"], "the chain EVENKEEL_OUTPUT is missing")
}

#[test]
fn other_options_than_those_installed_fail_and_the_difference_is_shown() -> Result<()> {
    for backend in BACKENDS {
        let setting = Setting::new()?;
        init(
            &setting.pod,
            &["install", "--backend", backend, "--exclude-inbound-ports=90"],
        )?;
        refuses(
            &setting.pod,
            &["verify", "--exclude-inbound-ports=91"],
            "should be `-p tcp -m multiport --dports 91 -j RETURN` and is `-p tcp -m multiport --dports 90 -j RETURN`",
        )?;
        init(&setting.pod, &["verify", "--exclude-inbound-ports=90"])?;
    }
    Ok(())
}

#[test]
fn an_inbound_jump_that_is_gone_fails() -> Result<()> {
    for (backend, family) in BACKENDS
        .into_iter()
        .flat_map(|backend| FAMILIES.map(|family| (backend, family)))
    {
        let setting = Setting::new()?;
        init(&setting.pod, &["install", "--backend", backend])?;
        let program = format!("{}-{backend}", family.program);
        setting.pod.exec(&[&program, "-t", "nat", "-D", "PREROUTING", "1"])?;
        refuses(
            &setting.pod,
            &["verify"],
            "the rule `-p tcp -j EVENKEEL_INBOUND` is missing from the chain PREROUTING",
        )?;
    }
    Ok(())
}

#[test]
fn a_rule_that_takes_outbound_connections_before_us_fails() -> Result<()> {
    for (backend, family) in BACKENDS.into_iter().zip(FAMILIES) {
        let setting = Setting::new()?;
        init(&setting.pod, &["install", "--backend", backend])?;
        let program = format!("{}-{backend}", family.program);
        setting
            .pod
            .exec(&[&program, "-t", "nat", "-I", "OUTPUT", "1", "-p", "tcp", "-j", "ACCEPT"])?;
        refuses(&setting.pod, &["verify"], "Another rule takes it first")?;
        // Installing again puts ours in front.
        init(&setting.pod, &["install"])?;
        init(&setting.pod, &["verify"])?;
    }
    Ok(())
}

#[test]
fn a_proxy_that_runs_already_is_said_to_be_in_the_way() -> Result<()> {
    for family in FAMILIES {
        let setting = Setting::new()?;
        init(&setting.pod, &["install"])?;
        let _proxy = listen(&setting.pod, at(family.loopback, 15001))?;
        refuses(
            &setting.pod,
            &["verify"],
            "is in use: the proxy (or something else) is running already",
        )?;
    }
    Ok(())
}

#[test]
fn it_connects_as_another_user_when_its_own_is_exempt() -> Result<()> {
    let setting = Setting::new()?;
    let options = ["--exempt-uid=0", "--exempt-gid=0"];
    init(&setting.pod, &[&["install"], &options[..]].concat())?;
    let said_by_verify = init(&setting.pod, &[&["verify"], &options[..]].concat())?;
    assert_eq!(
        said_by_verify.matches("arrives at the proxy's port").count(),
        2,
        "{said_by_verify}"
    );
    let confined = as_init_container(&setting.pod, &[&["verify"], &options[..]].concat())?;
    assert_eq!(confined.status.code(), Some(1));
    assert!(said(&confined).contains("SETUID"), "{}", said(&confined));
    Ok(())
}

#[test]
fn it_finds_a_destination_that_the_options_redirect() -> Result<()> {
    for options in [
        &[
            "--include-outbound-cidrs=10.77.0.0/16,fd77::/16",
            "--include-outbound-ports=8080",
        ][..],
        &["--exclude-outbound-cidrs=192.0.2.0/24,198.51.100.0/24,2001:db8::/32"],
        &["--leave-interfaces=eth0"],
    ] {
        let setting = Setting::new()?;
        init(&setting.pod, &[&["install"], options].concat())?;
        let said = init(&setting.pod, &[&["verify"], options].concat())?;
        assert_eq!(said.matches("arrives at the proxy's port").count(), 2, "{said}");
    }
    Ok(())
}

#[test]
fn a_family_without_a_global_address_is_said_to_be_left_out() -> Result<()> {
    let pod = Namespace::new("alone")?;
    init(&pod, &["install"])?;
    let said = init(&pod, &["verify"])?;
    for family in ["IPv4", "IPv6"] {
        assert!(
            said.contains(&format!(
                "{family}: outbound not tried, for this pod has no global {family} address"
            )),
            "{said}"
        );
    }
    Ok(())
}
