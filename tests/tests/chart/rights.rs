//! The control plane may do what its code does.

use anyhow::Result;
use anyhow::ensure;
use evenkeel_control_plane::kubernetes::kind::Kind;
use evenkeel_tests::rbac::Rights;

use crate::matrix;

#[test]
fn every_kind_that_is_watched_may_be_listed_and_watched_everywhere() -> Result<()> {
    matrix::each(|_, objects| {
        let rights = Rights::of(objects);
        for (group, resource) in Kind::ALL.map(Kind::resource) {
            for verb in ["list", "watch"] {
                ensure!(
                    rights.allow_everywhere(verb, group, resource),
                    "{verb} {group}/{resource}"
                );
            }
            ensure!(
                !rights.allow_everywhere("delete", group, resource),
                "{group}/{resource}"
            );
        }
        ensure!(!rights.allow_everywhere("list", "", "secrets"), "every secret");
        Ok(())
    })
}
