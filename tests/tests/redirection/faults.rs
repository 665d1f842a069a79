//! What cannot be done is said, and nothing is half done.

use anyhow::Result;
use evenkeel_tests::namespace::Namespace;

use crate::setting::BACKENDS;
use crate::setting::FAMILIES;
use crate::setting::Setting;
use crate::setting::attempt;
use crate::setting::attempt_with;
use crate::setting::jumps;
use crate::setting::said;
use crate::setting::saved;
use crate::setting::saved_family;
use crate::setting::substitute;

/// What ip6tables says where the kernel has no IPv6 nat.
const NO_NAT: &str =
    "echo \"can't initialize ip6tables table \\`nat': Table does not exist (do you need to insmod?)\" >&2; exit 3";

#[test]
fn malformed_arguments_are_refused_all_at_once_and_change_nothing() -> Result<()> {
    let pod = Namespace::new("arguments")?;
    let output = attempt(
        &pod,
        &[
            "install",
            "--proxy-uid=proxy",
            "--exclude-outbound-ports=80,90-80",
            "--exempt-mark=0",
        ],
    )?;
    assert_eq!(output.status.code(), Some(2));
    for part in [
        "--proxy-uid: `proxy`",
        "--exclude-outbound-ports, item 2: `90-80`",
        "--exempt-mark, item 1: `0`",
    ] {
        assert!(said(&output).contains(part), "{part:?} is not in: {}", said(&output));
    }
    for arguments in [
        &["install", "--exclude-outbound-port=80"][..],
        &["instal"],
        &["install", "surplus"],
        &[],
    ] {
        let output = attempt(&pod, arguments)?;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", said(&output));
    }
    for backend in BACKENDS {
        assert!(!saved(&pod, backend)?.contains("EVENKEEL"));
    }
    Ok(())
}

#[test]
fn ipv6_that_cannot_be_redirected_is_a_failure_where_it_could_leave_the_pod() -> Result<()> {
    let [v4, _] = FAMILIES;
    for backend in BACKENDS {
        let setting = Setting::new()?;
        let path = substitute(&setting.pod, &format!("ip6tables-{backend}-restore"), NO_NAT)?;
        let output = attempt_with(&setting.pod, &path, &["install", "--backend", backend])?;
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        for part in ["global IPv6 address fd7", "--ipv6=off", "modprobe"] {
            assert!(said(&output).contains(part), "{part:?} is not in: {}", said(&output));
        }
        assert!(
            !saved_family(&setting.pod, backend, v4)?.contains("EVENKEEL"),
            "IPv4 must not be touched"
        );

        let output = attempt_with(&setting.pod, &path, &["install", "--backend", backend, "--ipv6=off"])?;
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(jumps(&saved_family(&setting.pod, backend, v4)?), 2);
    }
    Ok(())
}

#[test]
fn ipv6_that_cannot_be_redirected_is_a_warning_where_it_cannot_leave_the_pod() -> Result<()> {
    let [v4, _] = FAMILIES;
    for backend in BACKENDS {
        let Setting { pod, peer: _peer } = Setting::new()?;
        for link in ["eth0", "eth1"] {
            pod.ip(&format!("-6 addr flush dev {link} scope global"))?;
        }
        let path = substitute(&pod, &format!("ip6tables-{backend}-restore"), NO_NAT)?;
        for arguments in [["install", "--backend", backend], ["verify", "--backend", backend]] {
            let output = attempt_with(&pod, &path, &arguments)?;
            assert!(output.status.success(), "{}", said(&output));
            assert!(
                said(&output).contains("warning: IPv6 is not redirected"),
                "{}",
                said(&output)
            );
        }
        assert_eq!(jumps(&saved_family(&pod, backend, v4)?), 2);
    }
    Ok(())
}

#[test]
fn auto_takes_legacy_where_nft_does_not_work() -> Result<()> {
    let pod = Namespace::new("nonft")?;
    let path = substitute(
        &pod,
        "iptables-nft-restore",
        "echo 'Warning: Extension owner revision 0 not supported, missing kernel module?' >&2; exit 4",
    )?;
    let output = attempt_with(&pod, &path, &["install"])?;
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!((jumps(&saved(&pod, "nft")?), jumps(&saved(&pod, "legacy")?)), (0, 4));

    let other = Namespace::new("nothing")?;
    substitute(
        &other,
        "iptables-legacy-restore",
        "echo \"can't initialize iptables table \\`nat'\" >&2; exit 3",
    )?;
    let path = substitute(
        &other,
        "iptables-nft-restore",
        "echo 'Warning: Extension owner revision 0 not supported, missing kernel module?' >&2; exit 4",
    )?;
    let output = attempt_with(&other, &path, &["install"])?;
    assert_eq!(output.status.code(), Some(1));
    for part in [
        "neither iptables backend works",
        "xt_owner",
        "can't initialize iptables table",
    ] {
        assert!(said(&output).contains(part), "{part:?} is not in: {}", said(&output));
    }
    Ok(())
}

#[test]
fn a_missing_program_is_named() -> Result<()> {
    let setting = Setting::new()?;
    let empty = setting.pod.folder()?.display().to_string();
    for (backend, program) in [("nft", "ip6tables-nft-save"), ("auto", "iptables-nft-restore")] {
        let output = attempt_with(&setting.pod, &empty, &["install", "--backend", backend])?;
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(
            said(&output).contains(&format!("{program} is not in PATH ({empty})")),
            "{}",
            said(&output)
        );
    }
    Ok(())
}
