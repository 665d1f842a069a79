//! What the injector makes of each fixture, as it was recorded. After a change that is meant:
//! `cargo test -p evenkeel-control-plane --test inject golden::are_written_anew -- --ignored`, and read the difference.

use crate::fixtures::{self, Fixture, folder};
use evenkeel_control_plane::inject::Outcome;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;

/// What the recorded file has: the patch and the warnings, or why there is none.
fn record(fixture: &Fixture) -> String {
    let record: Value = match fixture.outcome() {
        Outcome::Injected(injected) => json!({"patch": injected.patch, "warnings": injected.warnings}),
        Outcome::Skipped { why, warnings } => json!({"skipped": why.sentence(), "warnings": warnings}),
        Outcome::Refused(faults) => {
            let faults: Vec<String> = faults.0.iter().map(ToString::to_string).collect();
            json!({"refused": faults})
        }
    };
    // The version of the images changes with each release.
    let text = serde_saphyr::to_string(&record).unwrap();
    text.replace(env!("CARGO_PKG_VERSION"), "VERSION")
}

#[test]
fn every_fixture_becomes_what_was_recorded() {
    let fixtures = fixtures::all();
    assert!(fixtures.len() >= 25, "{}", fixtures.len());
    for fixture in &fixtures {
        let recorded = fs::read_to_string(folder("golden").join(format!("{}.yaml", fixture.name))).unwrap_or_default();
        assert_eq!(record(fixture), recorded, "{}", fixture.name);
    }
    let names: BTreeSet<String> = fixtures
        .iter()
        .map(|fixture| format!("{}.yaml", fixture.name))
        .collect();
    let recorded = fs::read_dir(folder("golden")).unwrap();
    let recorded: BTreeSet<String> = recorded
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(recorded, names);
}

#[test]
#[ignore = "writes the recorded files"]
fn are_written_anew() {
    fs::create_dir_all(folder("golden")).unwrap();
    for fixture in fixtures::all() {
        fs::write(
            folder("golden").join(format!("{}.yaml", fixture.name)),
            record(&fixture),
        )
        .unwrap();
    }
}
