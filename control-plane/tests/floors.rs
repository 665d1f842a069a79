//! The house rule of the data plane, for the control plane.

#[path = "../../proxy/tests/floors.rs"]
mod floors;
