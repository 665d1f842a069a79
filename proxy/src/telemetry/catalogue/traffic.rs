//! What is counted of requests and connections.

use super::Group;
use super::Metric;
use super::group;
use super::labels;
use crate::telemetry::Kind;

group! { REQUEST_METRICS "Requests"
    REQUESTS Counter "evenkeel_requests_total" [DIRECTION SERVICE PROTOCOL STATUS]
        "Requests by the status of their response; none: no response was made."
    REQUESTS_IN_FLIGHT Gauge "evenkeel_requests_in_flight" [DIRECTION SERVICE PROTOCOL]
        "Requests whose response is not complete."
    REQUEST_DURATION Histogram "evenkeel_request_duration_seconds" [DIRECTION SERVICE PROTOCOL LE]
        "From the request's head to the response's end."
    REQUEST_BYTES Counter "evenkeel_request_bytes_total" [DIRECTION SERVICE PROTOCOL]
        "Bytes of request bodies."
    RESPONSE_BYTES Counter "evenkeel_response_bytes_total" [DIRECTION SERVICE PROTOCOL]
        "Bytes of response bodies."
    REQUEST_FAILURES Counter "evenkeel_request_failures_total" [DIRECTION SERVICE PROTOCOL REASON]
        "Requests that failed in the mesh, by reason: it made the answer itself, or the exchange broke."
    GRPC_RESPONSES Counter "evenkeel_grpc_responses_total" [DIRECTION SERVICE PROTOCOL GRPC_STATUS]
        "Responses by their gRPC status."
    REQUEST_RETRIES Counter "evenkeel_request_retries_total" [DIRECTION SERVICE PROTOCOL]
        "Attempts beyond the first, those that could not connect included."
    RETRIES_FORBIDDEN Counter "evenkeel_request_retries_forbidden_total" [DIRECTION SERVICE PROTOCOL]
        "Requests that failed because the retry budget allowed no further attempt."
    CONFIGURED_ANSWERS Counter "evenkeel_configured_answers_total" [DIRECTION SERVICE PROTOCOL]
        "Redirects and direct responses that stand in the routes."
}

group! { TCP_METRICS "Opaque connections"
    TCP_OPEN Gauge "evenkeel_tcp_connections_open" [DIRECTION SERVICE]
        "Opaque connections that are open."
    TCP_OPENED Counter "evenkeel_tcp_connections_opened_total" [DIRECTION SERVICE]
        "Opaque connections."
    TCP_CLOSED Counter "evenkeel_tcp_connections_closed_total" [DIRECTION SERVICE CLOSED_BY]
        "Opaque connections closed, by reason; none: in good order."
    TCP_DURATION Histogram "evenkeel_tcp_connection_duration_seconds" [DIRECTION SERVICE LE]
        "How long opaque connections that were closed had been open."
    TCP_RECEIVED Counter "evenkeel_tcp_received_bytes_total" [DIRECTION SERVICE]
        "Bytes from clients of opaque connections."
    TCP_SENT Counter "evenkeel_tcp_sent_bytes_total" [DIRECTION SERVICE]
        "Bytes to clients of opaque connections."
}

group! { CONNECTION_METRICS "Accepted connections and what is spoken on them"
    CONNECTIONS_OPEN Gauge "evenkeel_connections_open" [DIRECTION]
        "Accepted connections that are open."
    CONNECTIONS_OPENED Counter "evenkeel_connections_opened_total" [DIRECTION]
        "Connections accepted."
    CONNECTIONS_CLOSED Counter "evenkeel_connections_closed_total" [DIRECTION CLOSED_BY]
        "Accepted connections closed, by reason; none: in good order."
    ACCEPT_ERRORS Counter "evenkeel_accept_errors_total" []
        "Connections that could not be accepted."
    DETECTIONS Counter "evenkeel_detections_total" [VERDICT]
        "Connections by how their protocol became known."
    SPECULATIVE_CONNECTIONS Counter "evenkeel_speculative_connections_total" [SPECULATION]
        "Upstream connections dialled before the protocol was known, by what became of them."
}

group! { POOL_METRICS "Upstream connections that requests share"
    POOL_IDLE Gauge "evenkeel_pool_idle_connections" [VERSION]
        "Upstream connections without a request."
    POOL_WAITING Gauge "evenkeel_pool_waiting_requests" [VERSION]
        "Requests that wait for an upstream connection that is being made."
    POOL_OPENED Counter "evenkeel_pool_connections_opened_total" [VERSION]
        "Upstream connections made for a request."
    POOL_REUSED Counter "evenkeel_pool_connections_reused_total" [VERSION]
        "Requests that found an upstream connection."
    POOL_EVICTED Counter "evenkeel_pool_connections_evicted_total" [VERSION EVICTION]
        "Upstream connections without a request that were closed, by reason."
}
