//! The status codes of gRPC: what they are called, and which are a server's fault.

/// As gRPC's libraries and its wire format name them, in the order of their numbers.
const NAMES: [(&str, &str); 17] = [
    ("OK", "OK"),
    ("Canceled", "CANCELLED"),
    ("Unknown", "UNKNOWN"),
    ("InvalidArgument", "INVALID_ARGUMENT"),
    ("DeadlineExceeded", "DEADLINE_EXCEEDED"),
    ("NotFound", "NOT_FOUND"),
    ("AlreadyExists", "ALREADY_EXISTS"),
    ("PermissionDenied", "PERMISSION_DENIED"),
    ("ResourceExhausted", "RESOURCE_EXHAUSTED"),
    ("FailedPrecondition", "FAILED_PRECONDITION"),
    ("Aborted", "ABORTED"),
    ("OutOfRange", "OUT_OF_RANGE"),
    ("Unimplemented", "UNIMPLEMENTED"),
    ("Internal", "INTERNAL"),
    ("Unavailable", "UNAVAILABLE"),
    ("DataLoss", "DATA_LOSS"),
    ("Unauthenticated", "UNAUTHENTICATED"),
];

/// `InvalidArgument`; nothing for a number that gRPC does not know.
pub(super) fn camel(status: u32) -> Option<&'static str> {
    NAMES.get(status as usize).map(|(camel, _)| *camel)
}

/// `INVALID_ARGUMENT`; nothing for a number that gRPC does not know.
pub(super) fn snake(status: u32) -> Option<&'static str> {
    NAMES.get(status as usize).map(|(_, snake)| *snake)
}

/// The errors of a server, as OpenTelemetry has them: unknown, deadline exceeded, unimplemented, internal, unavailable, data
/// loss. The others say something of the request.
pub(super) fn is_servers_fault(status: u32) -> bool {
    matches!(status, 2 | 4 | 12..=15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_at_fault_for_six_of_them() {
        let faults: Vec<_> = (0..20)
            .filter(|status| is_servers_fault(*status))
            .filter_map(snake)
            .collect();
        assert_eq!(
            faults,
            [
                "UNKNOWN",
                "DEADLINE_EXCEEDED",
                "UNIMPLEMENTED",
                "INTERNAL",
                "UNAVAILABLE",
                "DATA_LOSS"
            ]
        );
        assert_eq!((camel(3), camel(17)), (Some("InvalidArgument"), None));
    }
}
