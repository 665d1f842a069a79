//! The crate from outside: documents in, resources or faults out.

mod clusters;
mod families;
mod faults;
mod fields;
mod filters;
mod mesh_route_refusals;
mod mesh_routes;
mod properties;
mod refusals;
mod resources;
mod routes;

/// The example of the documentation.
fn example() -> &'static str {
    let document = include_str!("../../../docs/mesh-document.md");
    let (_, rest) = document
        .split_once("```yaml\n")
        .expect("the documentation holds an example");
    rest.split_once("```").expect("the example ends").0
}
