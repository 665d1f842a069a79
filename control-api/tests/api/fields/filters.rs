//! The HTTP filters that we do not have, as the decoder lists them.

const SOURCE: &str = include_str!("../../../src/resource/filters.rs");

/// The names in one of its lists.
pub(super) fn named(list: &str) -> Vec<&'static str> {
    let declared = format!("const {list}: ");
    let after = SOURCE
        .split_once(&declared)
        .and_then(|(_, after)| after.split_once(" = ["));
    let (names, _) = after
        .and_then(|(_, names)| names.split_once("];"))
        .unwrap_or_else(|| panic!("no list {list} in {SOURCE}"));
    names.split('"').skip(1).step_by(2).collect()
}

#[test]
fn lists_are_read_whole() {
    assert_eq!(named("HARMLESS"), ["buffer", "cors", "grpc_stats"]);
    let guards = named("GUARDS");
    for guard in ["ext_authz", "fault", "jwt_authn", "rbac", "stateful_session"] {
        assert!(guards.contains(&guard), "{guards:?}");
    }
}
