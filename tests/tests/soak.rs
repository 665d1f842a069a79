//! The short form of `make soak`.

use std::time::Duration;

use anyhow::Result;
use evenkeel_tests::soak;

#[test]
fn mixed_traffic_under_changing_endpoints_fails_nothing_and_leaves_nothing() -> Result<()> {
    let report = soak::run(Duration::from_secs(20))?;
    assert!(report.faults().is_empty(), "{:#?}\n{}", report.faults(), report.table());
    Ok(())
}
