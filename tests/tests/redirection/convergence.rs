//! Installing again, otherwise, at the same time or half-way, and taking everything back.

use std::thread;

use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::namespace::Namespace;

use crate::setting::BACKENDS;
use crate::setting::FAMILIES;
use crate::setting::attempt;
use crate::setting::attempt_with;
use crate::setting::init;
use crate::setting::jumps;
use crate::setting::said;
use crate::setting::saved;
use crate::setting::saved_family;
use crate::setting::substitute;

/// Options that ask for another rule in every part of the document.
const OTHERWISE: [&str; 8] = [
    "--exempt-uid=0,5",
    "--exempt-gid=7",
    "--exempt-mark=0x7/0xff,9",
    "--include-outbound-cidrs=10.0.0.0/8,fd00::/8",
    "--exclude-outbound-cidrs=10.9.0.0/16,fd99::/16",
    "--exclude-outbound-ports=1-5,7,9,11,13,15,17,19,21,23,25,27,29,31,33,35,37,39",
    "--exclude-inbound-ports=9090",
    "--leave-interfaces=net1,tun+",
];

fn install<'a>(backend: &'a str, options: &[&'a str]) -> Vec<&'a str> {
    [&["install", "--backend", backend], options].concat()
}

/// Rules of somebody else, in every place where ours could disturb them.
fn foreign_rules(pod: &Namespace, backend: &str) -> Result<()> {
    for family in FAMILIES {
        let document = "*nat\n:OTHERS - [0:0]\n\
             -A OUTPUT -p tcp -m tcp --dport 5 -j ACCEPT\n-A OUTPUT -p udp -j OTHERS\n\
             -A OUTPUT -m comment --comment \"not ours: -j EVENKEEL_OUTPUT \\\" here\" -j RETURN\n\
             -A PREROUTING -p tcp -m tcp --dport 81 -j REDIRECT --to-ports 82\n-A OTHERS -j RETURN\nCOMMIT\n\
             *filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -m tcp --dport 6 -j DROP\nCOMMIT\n";
        let restore = format!("{}-{backend}-restore", family.program);
        pod.exec_with_input(&[restore.as_str(), "--noflush"], document)?;
    }
    Ok(())
}

#[test]
fn installing_twice_changes_nothing() -> Result<()> {
    for backend in BACKENDS {
        for options in [&[][..], &OTHERWISE] {
            let pod = Namespace::new("twice")?;
            init(&pod, &install(backend, options))?;
            let once = saved(&pod, backend)?;
            let said = init(&pod, &install("auto", options))?;
            assert_eq!(said.matches("nothing changed").count(), 2, "{said}");
            assert_eq!(saved(&pod, backend)?, once);
            assert_eq!(jumps(&once), 4, "{once}");
        }
    }
    Ok(())
}

#[test]
fn other_options_converge_to_what_a_fresh_pod_gets() -> Result<()> {
    for backend in BACKENDS {
        let (pod, fresh) = (Namespace::new("changed")?, Namespace::new("fresh")?);
        init(&fresh, &install(backend, &OTHERWISE))?;
        init(
            &pod,
            &install(backend, &["--outbound-port=4140", "--inbound-port=4143"]),
        )?;
        init(&pod, &install(backend, &OTHERWISE))?;
        assert_eq!(saved(&pod, backend)?, saved(&fresh, backend)?);
    }
    Ok(())
}

#[test]
fn doubled_jumps_and_chains_of_another_version_converge_too() -> Result<()> {
    for backend in BACKENDS {
        let (pod, fresh) = (Namespace::new("spoilt")?, Namespace::new("fresh")?);
        for family in FAMILIES {
            let document = "*nat\n:OTHERS - [0:0]\n:EVENKEEL_OLD - [0:0]\n:EVENKEEL_OUTPUT - [0:0]\n\
                 -A OUTPUT -p tcp -j EVENKEEL_OUTPUT\n-A OUTPUT -p tcp -j EVENKEEL_OUTPUT\n-A OTHERS -j EVENKEEL_OLD\n\
                 -A EVENKEEL_OUTPUT -j EVENKEEL_OLD\nCOMMIT\n";
            pod.exec_with_input(&[format!("{}-{backend}-restore", family.program)], document)?;
        }
        init(&pod, &install("auto", &[]))?;
        init(&fresh, &install(backend, &[]))?;
        assert_eq!(
            saved(&pod, backend)?.replace(":OTHERS - [0:0]\n", ""),
            saved(&fresh, backend)?
        );
    }
    Ok(())
}

#[test]
fn cleanup_leaves_foreign_rules_byte_for_byte_as_they_were() -> Result<()> {
    for backend in BACKENDS {
        let pod = Namespace::new("foreign")?;
        foreign_rules(&pod, backend)?;
        let before = saved(&pod, backend)?;
        init(&pod, &install(backend, &[]))?;
        init(&pod, &install(backend, &OTHERWISE))?;
        assert_eq!(jumps(&saved(&pod, backend)?), 4);
        init(&pod, &["cleanup"])?;
        assert_eq!(saved(&pod, backend)?, before);
        let said = init(&pod, &["cleanup"])?;
        assert_eq!(said.matches("no rules of ours").count(), 4, "{said}");
        assert_eq!(saved(&pod, backend)?, before);
    }
    Ok(())
}

#[test]
fn several_at_once_all_succeed_and_leave_one_of_everything() -> Result<()> {
    for backend in BACKENDS {
        let pod = Namespace::new("race")?;
        thread::scope(|scope| {
            let runs: Vec<_> = (1..=6)
                .map(|port| {
                    let (pod, option) = (&pod, format!("--exclude-outbound-ports={port}"));
                    scope.spawn(move || init(pod, &install(backend, &[&option])))
                })
                .collect();
            runs.into_iter()
                .try_for_each(|run| run.join().expect("a run does not panic").map(drop))
        })?;
        let saved = saved(&pod, backend)?;
        assert_eq!(
            (jumps(&saved), saved.matches(" --to-ports 15001").count()),
            (4, 2),
            "{saved}"
        );
    }
    Ok(())
}

/// Installs with a substitute for the program that restores IPv4, which says what happens to us half-way.
fn killed(pod: &Namespace, backend: &str, script: &str) -> Result<()> {
    let restore = format!("iptables-{backend}-restore");
    // The real one first: the trial of `auto` is not what we want to be killed in.
    let path = substitute(
        pod,
        &restore,
        &script.replace("REAL", &format!("/usr/sbin/{restore} --noflush")),
    )?;
    let output = attempt_with(pod, &path, &install(backend, &OTHERWISE))?;
    ensure!(output.status.code().is_none(), "was not killed: {}", said(&output));
    Ok(())
}

#[test]
fn killed_half_way_leaves_the_old_or_the_new_rules_of_a_family() -> Result<()> {
    let [v4, v6] = FAMILIES;
    for backend in BACKENDS {
        let fresh = Namespace::new("fresh")?;
        init(&fresh, &install(backend, &[]))?;
        let old = saved_family(&fresh, backend, v4)?;
        init(&fresh, &install(backend, &OTHERWISE))?;
        let (new_v4, new_v6) = (saved_family(&fresh, backend, v4)?, saved_family(&fresh, backend, v6)?);
        for (script, expected) in [
            ("kill -KILL $PPID", &old),
            ("head -c 400 | REAL 2> /dev/null; kill -KILL $PPID", &old),
            ("REAL; kill -KILL $PPID", &new_v4),
        ] {
            let pod = Namespace::new("killed")?;
            init(&pod, &install(backend, &[]))?;
            killed(&pod, backend, script)?;
            assert_eq!(saved_family(&pod, backend, v6)?, new_v6, "IPv6 goes first");
            assert_eq!(&saved_family(&pod, backend, v4)?, expected, "{script}");
            init(&pod, &install("auto", &OTHERWISE))?;
            assert_eq!(saved_family(&pod, backend, v4)?, new_v4, "after {script}");
        }
    }
    Ok(())
}

#[test]
fn whoever_comes_after_one_that_was_killed_waits_for_what_it_started() -> Result<()> {
    for backend in BACKENDS {
        let pod = Namespace::new("orphan")?;
        let gate = pod.folder()?.join("gate").display().to_string();
        pod.exec(&["mkfifo", &gate])?;
        // It has read its document, its maker is dead, and it has not acted yet.
        killed(
            &pod,
            backend,
            &format!("document=$(cat); kill -KILL $PPID; timeout 60 cat {gate}; echo \"$document\" | REAL"),
        )?;
        let output = attempt(&pod, &["install", "--lock-wait=1"])?;
        ensure!(
            !output.status.success() && said(&output).contains("another evenkeel-init"),
            "{}",
            said(&output)
        );
        pod.exec(&["sh", "-c", "echo go > \"$0\"", &gate])?;
        init(&pod, &install(backend, &OTHERWISE))?;
        let saved = saved(&pod, backend)?;
        assert_eq!(jumps(&saved), 4, "{saved}");
    }
    Ok(())
}

#[test]
fn auto_stays_where_our_rules_are_and_a_change_of_backend_moves_them() -> Result<()> {
    let pod = Namespace::new("moved")?;
    init(&pod, &install("legacy", &[]))?;
    init(&pod, &install("auto", &OTHERWISE))?;
    assert_eq!((jumps(&saved(&pod, "nft")?), jumps(&saved(&pod, "legacy")?)), (0, 4));
    init(&pod, &install("nft", &OTHERWISE))?;
    assert_eq!((jumps(&saved(&pod, "nft")?), jumps(&saved(&pod, "legacy")?)), (4, 0));
    assert!(!saved(&pod, "legacy")?.contains(":EVENKEEL_"));
    Ok(())
}

#[test]
fn turning_ipv6_off_removes_its_rules() -> Result<()> {
    let [v4, v6] = FAMILIES;
    for backend in BACKENDS {
        let pod = Namespace::new("v4only")?;
        init(&pod, &install(backend, &[]))?;
        let said = init(&pod, &install(backend, &["--ipv6=off"]))?;
        assert!(
            said.contains("IPv6: the absence of redirection is now in place"),
            "{said}"
        );
        assert!(!saved_family(&pod, backend, v6)?.contains(":EVENKEEL_"));
        assert_eq!(jumps(&saved_family(&pod, backend, v4)?), 2);
    }
    Ok(())
}

#[test]
fn a_dry_run_changes_nothing_and_its_document_does_what_install_does() -> Result<()> {
    for backend in BACKENDS {
        let (pod, fresh) = (Namespace::new("dry")?, Namespace::new("fresh")?);
        for namespace in [&pod, &fresh] {
            foreign_rules(namespace, backend)?;
            init(namespace, &install(backend, &[]))?;
        }
        let before = saved(&pod, backend)?;
        let printed = init(&pod, &[&install(backend, &OTHERWISE)[..], &["--dry-run"]].concat())?;
        let removal = init(&pod, &["cleanup", "--dry-run", "--backend", backend])?;
        assert_eq!(saved(&pod, backend)?, before);

        init(&fresh, &install(backend, &OTHERWISE))?;
        apply(&pod, backend, &printed)?;
        assert_eq!(saved(&pod, backend)?, saved(&fresh, backend)?);
        apply(&pod, backend, &removal)?;
        assert!(!saved(&pod, backend)?.contains(":EVENKEEL_"));
    }
    Ok(())
}

#[test]
fn what_print_prints_is_what_install_installs() -> Result<()> {
    for backend in BACKENDS {
        let (pod, fresh) = (Namespace::new("printed")?, Namespace::new("fresh")?);
        apply(&pod, backend, &init(&pod, &[&["print"], &OTHERWISE[..]].concat())?)?;
        init(&fresh, &install(backend, &OTHERWISE))?;
        assert_eq!(saved(&pod, backend)?, saved(&fresh, backend)?);
    }
    Ok(())
}

/// Gives each of the two printed documents to its program.
fn apply(pod: &Namespace, backend: &str, printed: &str) -> Result<()> {
    let documents: Vec<&str> = printed.split_inclusive("COMMIT\n").collect();
    let [v4, v6] = FAMILIES;
    for (family, document) in [v6, v4].into_iter().zip(documents) {
        let restore = format!("{}-{backend}-restore", family.program);
        pod.exec_with_input(&[restore.as_str(), "--noflush"], document)?;
    }
    Ok(())
}
