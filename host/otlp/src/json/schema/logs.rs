//! Log records.

use super::{ANY_VALUE, KEY_VALUE, Kind, RESOURCE, SCOPE, Schema, field, message};

pub(super) static REQUEST: Schema =
    message(0, &[field("resourceLogs", "resource_logs", 1, Kind::Messages(&RESOURCE_LOGS))]);

static RESOURCE_LOGS: Schema = message(
    3,
    &[
        field("resource", "resource", 1, Kind::Message(&RESOURCE)),
        field("scopeLogs", "scope_logs", 2, Kind::Messages(&SCOPE_LOGS)),
        field("schemaUrl", "schema_url", 3, Kind::Text),
    ],
);

static SCOPE_LOGS: Schema = message(
    3,
    &[
        field("scope", "scope", 1, Kind::Message(&SCOPE)),
        field("logRecords", "log_records", 2, Kind::Messages(&LOG_RECORD)),
        field("schemaUrl", "schema_url", 3, Kind::Text),
    ],
);

static LOG_RECORD: Schema = message(
    2,
    &[
        field("timeUnixNano", "time_unix_nano", 1, Kind::Fixed64),
        field("observedTimeUnixNano", "observed_time_unix_nano", 11, Kind::Fixed64),
        field("severityNumber", "severity_number", 2, Kind::Enum(&SEVERITIES)),
        field("severityText", "severity_text", 3, Kind::Text),
        field("body", "body", 5, Kind::Message(&ANY_VALUE)),
        field("attributes", "attributes", 6, Kind::Messages(&KEY_VALUE)),
        field("droppedAttributesCount", "dropped_attributes_count", 7, Kind::Uint32),
        field("flags", "flags", 8, Kind::Fixed32),
        field("traceId", "trace_id", 9, Kind::Id),
        field("spanId", "span_id", 10, Kind::Id),
        field("eventName", "event_name", 12, Kind::Text),
    ],
);

static SEVERITIES: [&str; 25] = [
    "SEVERITY_NUMBER_UNSPECIFIED",
    "SEVERITY_NUMBER_TRACE",
    "SEVERITY_NUMBER_TRACE2",
    "SEVERITY_NUMBER_TRACE3",
    "SEVERITY_NUMBER_TRACE4",
    "SEVERITY_NUMBER_DEBUG",
    "SEVERITY_NUMBER_DEBUG2",
    "SEVERITY_NUMBER_DEBUG3",
    "SEVERITY_NUMBER_DEBUG4",
    "SEVERITY_NUMBER_INFO",
    "SEVERITY_NUMBER_INFO2",
    "SEVERITY_NUMBER_INFO3",
    "SEVERITY_NUMBER_INFO4",
    "SEVERITY_NUMBER_WARN",
    "SEVERITY_NUMBER_WARN2",
    "SEVERITY_NUMBER_WARN3",
    "SEVERITY_NUMBER_WARN4",
    "SEVERITY_NUMBER_ERROR",
    "SEVERITY_NUMBER_ERROR2",
    "SEVERITY_NUMBER_ERROR3",
    "SEVERITY_NUMBER_ERROR4",
    "SEVERITY_NUMBER_FATAL",
    "SEVERITY_NUMBER_FATAL2",
    "SEVERITY_NUMBER_FATAL3",
    "SEVERITY_NUMBER_FATAL4",
];
