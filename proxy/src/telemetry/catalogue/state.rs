//! What is not counted by traffic: endpoints, configuration, the control plane, the process.

use super::Group;
use super::Metric;
use super::group;
use super::labels;
use crate::telemetry::Kind;

group! { ENDPOINT_METRICS "Endpoints"
    ENDPOINT_HEALTHY Gauge "evenkeel_endpoint_healthy" [CLUSTER ENDPOINT]
        "0 while an endpoint backs off after failures to connect, or the control plane says that it is not well."
    ENDPOINT_WEIGHT Gauge "evenkeel_endpoint_weight" [CLUSTER ENDPOINT]
        "Its share against the other endpoints."
    ENDPOINT_IN_FLIGHT Gauge "evenkeel_endpoint_in_flight" [CLUSTER ENDPOINT]
        "Requests and connections in flight."
    ENDPOINT_LATENCY Gauge "evenkeel_endpoint_latency_seconds" [CLUSTER ENDPOINT]
        "Peak EWMA of the latency, as balancing sees it; nothing before the first answer."
    ENDPOINT_CONSECUTIVE_FAILURES Gauge "evenkeel_endpoint_consecutive_failures" [CLUSTER ENDPOINT]
        "Failures to connect since the last success."
    ENDPOINT_IDLE_CONNECTIONS Gauge "evenkeel_endpoint_idle_connections" [CLUSTER ENDPOINT]
        "HTTP/1 connections that wait in pools."
    ENDPOINT_HTTP2_CONNECTIONS Gauge "evenkeel_endpoint_http2_connections" [CLUSTER ENDPOINT]
        "HTTP/2 connections."
    ENDPOINT_CONNECTIONS_OPENED Counter "evenkeel_endpoint_connections_opened_total" [CLUSTER ENDPOINT]
        "Connections opened."
    ENDPOINT_CONNECT_FAILURES Counter "evenkeel_endpoint_connect_failures_total" [CLUSTER ENDPOINT]
        "Attempts to connect that failed."
    ENDPOINT_REQUESTS Counter "evenkeel_endpoint_requests_total" [CLUSTER ENDPOINT]
        "Requests that went there and have ended, attempts that others followed included."
    ENDPOINT_REQUEST_FAILURES Counter "evenkeel_endpoint_request_failures_total" [CLUSTER ENDPOINT]
        "Of these the ones that failed, by a status of the server's or by the mesh; not by what clients do."
}

group! { BUDGET_METRICS "Retry budgets"
    RETRY_BUDGET_USED Gauge "evenkeel_retry_budget_used" [CLUSTER]
        "Retries in flight that are within a fifth of the active requests."
    RETRY_BUDGET_LEFT Gauge "evenkeel_retry_budget_left" [CLUSTER]
        "Retries that could begin now: the rest of the fifth, and what is saved of ten a second."
}

group! { CONFIGURATION_METRICS "Configuration"
    CONFIG_GENERATION Gauge "evenkeel_config_generation" []
        "Configuration in force, counted from 1; 0 before the first."
    CONFIG_REFUSED Gauge "evenkeel_config_refused" []
        "Whether the newest update was refused (1), so that an older configuration is in force."
    CONFIG_MISSING Gauge "evenkeel_config_missing" []
        "Whether everything is passed through (1), because the control plane has delivered no configuration yet."
    CONFIG_UPDATES Counter "evenkeel_config_updates_total" [UPDATE]
        "Updates of the configuration, by result."
    CONFIG_LAST_UPDATE Gauge "evenkeel_config_last_update_timestamp_seconds" [UPDATE]
        "When the last update with this result came, since 1970."
    WORKER_GENERATION Gauge "evenkeel_worker_snapshot_generation" [WORKER]
        "Configuration that each worker uses."
    WORKER_LONGEST_APPLY Gauge "evenkeel_worker_longest_apply_seconds" [WORKER]
        "The most processor time that a worker has spent at once on putting a configuration in force."
}

group! { CONTROL_PLANE_METRICS "Control plane"
    CONTROL_PLANE_CONNECTED Gauge "evenkeel_control_plane_connected" [SERVER]
        "Whether there is a stream to this server of the control plane."
    CONTROL_PLANE_STREAMS Counter "evenkeel_control_plane_streams_total" [SERVER]
        "Streams that were opened."
    CONTROL_PLANE_RESPONSES Counter "evenkeel_control_plane_responses_total" [SERVER]
        "Responses that came."
    CONTROL_PLANE_REFUSED Counter "evenkeel_control_plane_refused_responses_total" [SERVER]
        "Responses that were refused, in whole or in part."
    CONTROL_PLANE_FAILURES Counter "evenkeel_control_plane_failures_total" [SERVER]
        "Attempts that ended without a response."
    XDS_RESOURCES Gauge "evenkeel_xds_resources" [TYPE STATE]
        "Resources that something is known of, by what became of the version that came last."
    XDS_IGNORED_FIELDS Gauge "evenkeel_xds_ignored_fields" [TYPE]
        "Fields of resources in use that have no effect here; `/config_dump` names them."
    XDS_ACCEPTED Counter "evenkeel_xds_accepted_total" [TYPE]
        "Resources that were taken, each time that they came."
    XDS_REFUSED Counter "evenkeel_xds_refused_total" [TYPE]
        "Resources that were refused, each time that they came."
    XDS_VERSION Gauge "evenkeel_xds_version" [TYPE]
        "A number made of the names and versions of all resources in use; where it is the same, they are."
    XDS_LAST_RESPONSE Gauge "evenkeel_xds_last_response_timestamp_seconds" [TYPE]
        "When the last response of this type came, since 1970."
}

group! { PROCESS_METRICS "Process"
    BUILD_INFO Gauge "evenkeel_build_info" [BUILD]
        "Always 1; the version is a label."
    PHASE Gauge "evenkeel_phase" [PHASE]
        "1 for the phase that the process is in."
    WORKER_BUSY Counter "evenkeel_worker_busy_seconds_total" [WORKER]
        "How long each worker had something to do: at one second a second it is a bottleneck."
    WORKER_BUFFERED Gauge "evenkeel_worker_buffered_bytes" [WORKER]
        "What each worker holds for readers that are behind."
    WORKER_CONNECTIONS Gauge "evenkeel_worker_connections" [WORKER]
        "Accepted connections that are open, by worker."
    ACCESS_LOG_DROPPED Counter "evenkeel_access_log_dropped_total" []
        "Lines of the access log that stdout did not take in time."
    ACCESS_LOG_EXPORTED Counter "evenkeel_access_log_exported_total" []
        "Records of the access log that the collector took."
    ACCESS_LOG_LOST Counter "evenkeel_access_log_export_dropped_total" [EXPORT_LOSS]
        "Records that no collector gets: there was no room because it is slow, or it did not take them."
    SPANS_EXPORTED Counter "evenkeel_spans_exported_total" []
        "Spans that the collector took."
    SPANS_DROPPED Counter "evenkeel_spans_dropped_total" [EXPORT_LOSS]
        "Spans that nobody gets: the queue was full because the collector is slow, or it did not take them."
    METRICS_PUSHES Counter "evenkeel_metrics_pushes_total" [PUSH]
        "Pushes of the metrics to a collector; skipped: the one before took longer than the interval."
    METRICS_POINTS_DROPPED Counter "evenkeel_metrics_points_dropped_total" [POINT_LOSS]
        "Points of pushes that the collector has not: it did not take their message, or rejected them out of it."
    TAP_LISTENERS Gauge "evenkeel_tap_listeners" []
        "Those who listen to the tap now."
    TAP_EVENTS Counter "evenkeel_tap_events_total" []
        "Events that they got."
    TAP_DROPPED Counter "evenkeel_tap_events_dropped_total" [TAP_LOSS]
        "Events that they did not get: above the limit that they asked for, or they were too slow."
    TAP_REDACTED Counter "evenkeel_tap_redacted_values_total" []
        "Values of headers that nobody had asked for."
    METRICS_SERVICES Gauge "evenkeel_metrics_services" []
        "Services that are counted each for itself, of both directions."
    METRICS_OTHERS Counter "evenkeel_metrics_others_total" []
        "How often a service was counted as `other`, because there are more than `proxy.metrics.services`."
    PROCESS_CPU Counter "process_cpu_seconds_total" []
        "CPU time in user and system mode."
    PROCESS_RESIDENT_MEMORY Gauge "process_resident_memory_bytes" []
        "Memory that is resident."
    PROCESS_THREADS Gauge "process_threads" []
        "Threads."
    PROCESS_OPEN_FDS Gauge "process_open_fds" []
        "File descriptors that are open."
    PROCESS_MAX_FDS Gauge "process_max_fds" []
        "File descriptors that may be open."
    PROCESS_START_TIME Gauge "process_start_time_seconds" []
        "Start of the process since 1970."
}
