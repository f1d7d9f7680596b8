//! Metrics and their data points.

use super::{KEY_VALUE, Kind, RESOURCE, SCOPE, Schema, field, message};

pub(super) static REQUEST: Schema =
    message(0, &[field("resourceMetrics", "resource_metrics", 1, Kind::Messages(&RESOURCE_METRICS))]);

static RESOURCE_METRICS: Schema = message(
    3,
    &[
        field("resource", "resource", 1, Kind::Message(&RESOURCE)),
        field("scopeMetrics", "scope_metrics", 2, Kind::Messages(&SCOPE_METRICS)),
        field("schemaUrl", "schema_url", 3, Kind::Text),
    ],
);

static SCOPE_METRICS: Schema = message(
    3,
    &[
        field("scope", "scope", 1, Kind::Message(&SCOPE)),
        field("metrics", "metrics", 2, Kind::Messages(&METRIC)),
        field("schemaUrl", "schema_url", 3, Kind::Text),
    ],
);

static METRIC: Schema = message(
    2,
    &[
        field("name", "name", 1, Kind::Text),
        field("description", "description", 2, Kind::Text),
        field("unit", "unit", 3, Kind::Text),
        field("gauge", "gauge", 5, Kind::Message(&GAUGE)),
        field("sum", "sum", 7, Kind::Message(&SUM)),
        field("histogram", "histogram", 9, Kind::Message(&HISTOGRAM)),
        field("exponentialHistogram", "exponential_histogram", 10, Kind::Message(&EXPONENTIAL_HISTOGRAM)),
        field("summary", "summary", 11, Kind::Message(&SUMMARY)),
        field("metadata", "metadata", 12, Kind::Messages(&KEY_VALUE)),
    ],
);

static GAUGE: Schema = message(2, &[field("dataPoints", "data_points", 1, Kind::Messages(&NUMBER))]);

static SUM: Schema = message(
    2,
    &[
        field("dataPoints", "data_points", 1, Kind::Messages(&NUMBER)),
        field("aggregationTemporality", "aggregation_temporality", 2, Kind::Enum(&TEMPORALITIES)),
        field("isMonotonic", "is_monotonic", 3, Kind::Bool),
    ],
);

static HISTOGRAM: Schema = message(
    2,
    &[
        field("dataPoints", "data_points", 1, Kind::Messages(&HISTOGRAM_POINT)),
        field("aggregationTemporality", "aggregation_temporality", 2, Kind::Enum(&TEMPORALITIES)),
    ],
);

static EXPONENTIAL_HISTOGRAM: Schema = message(
    2,
    &[
        field("dataPoints", "data_points", 1, Kind::Messages(&EXPONENTIAL_POINT)),
        field("aggregationTemporality", "aggregation_temporality", 2, Kind::Enum(&TEMPORALITIES)),
    ],
);

static SUMMARY: Schema = message(2, &[field("dataPoints", "data_points", 1, Kind::Messages(&SUMMARY_POINT))]);

static TEMPORALITIES: [&str; 3] =
    ["AGGREGATION_TEMPORALITY_UNSPECIFIED", "AGGREGATION_TEMPORALITY_DELTA", "AGGREGATION_TEMPORALITY_CUMULATIVE"];

static NUMBER: Schema = message(
    1,
    &[
        field("attributes", "attributes", 7, Kind::Messages(&KEY_VALUE)),
        field("startTimeUnixNano", "start_time_unix_nano", 2, Kind::Fixed64),
        field("timeUnixNano", "time_unix_nano", 3, Kind::Fixed64),
        field("asDouble", "as_double", 4, Kind::Double),
        field("asInt", "as_int", 6, Kind::Sfixed64),
        field("exemplars", "exemplars", 5, Kind::Messages(&EXEMPLAR)),
        field("flags", "flags", 8, Kind::Uint32),
    ],
);

static HISTOGRAM_POINT: Schema = message(
    2,
    &[
        field("attributes", "attributes", 9, Kind::Messages(&KEY_VALUE)),
        field("startTimeUnixNano", "start_time_unix_nano", 2, Kind::Fixed64),
        field("timeUnixNano", "time_unix_nano", 3, Kind::Fixed64),
        field("count", "count", 4, Kind::Fixed64),
        field("sum", "sum", 5, Kind::Double),
        field("bucketCounts", "bucket_counts", 6, Kind::Fixed64s),
        field("explicitBounds", "explicit_bounds", 7, Kind::Doubles),
        field("exemplars", "exemplars", 8, Kind::Messages(&EXEMPLAR)),
        field("flags", "flags", 10, Kind::Uint32),
        field("min", "min", 11, Kind::Double),
        field("max", "max", 12, Kind::Double),
    ],
);

static EXPONENTIAL_POINT: Schema = message(
    2,
    &[
        field("attributes", "attributes", 1, Kind::Messages(&KEY_VALUE)),
        field("startTimeUnixNano", "start_time_unix_nano", 2, Kind::Fixed64),
        field("timeUnixNano", "time_unix_nano", 3, Kind::Fixed64),
        field("count", "count", 4, Kind::Fixed64),
        field("sum", "sum", 5, Kind::Double),
        field("scale", "scale", 6, Kind::Sint32),
        field("zeroCount", "zero_count", 7, Kind::Fixed64),
        field("positive", "positive", 8, Kind::Message(&BUCKETS)),
        field("negative", "negative", 9, Kind::Message(&BUCKETS)),
        field("flags", "flags", 10, Kind::Uint32),
        field("exemplars", "exemplars", 11, Kind::Messages(&EXEMPLAR)),
        field("min", "min", 12, Kind::Double),
        field("max", "max", 13, Kind::Double),
        field("zeroThreshold", "zero_threshold", 14, Kind::Double),
    ],
);

static BUCKETS: Schema =
    message(1, &[field("offset", "offset", 1, Kind::Sint32), field("bucketCounts", "bucket_counts", 2, Kind::Uint64s)]);

static SUMMARY_POINT: Schema = message(
    1,
    &[
        field("attributes", "attributes", 7, Kind::Messages(&KEY_VALUE)),
        field("startTimeUnixNano", "start_time_unix_nano", 2, Kind::Fixed64),
        field("timeUnixNano", "time_unix_nano", 3, Kind::Fixed64),
        field("count", "count", 4, Kind::Fixed64),
        field("sum", "sum", 5, Kind::Double),
        field("quantileValues", "quantile_values", 6, Kind::Messages(&QUANTILE)),
        field("flags", "flags", 8, Kind::Uint32),
    ],
);

static QUANTILE: Schema =
    message(1, &[field("quantile", "quantile", 1, Kind::Double), field("value", "value", 2, Kind::Double)]);

static EXEMPLAR: Schema = message(
    1,
    &[
        field("filteredAttributes", "filtered_attributes", 7, Kind::Messages(&KEY_VALUE)),
        field("timeUnixNano", "time_unix_nano", 2, Kind::Fixed64),
        field("asDouble", "as_double", 3, Kind::Double),
        field("asInt", "as_int", 6, Kind::Sfixed64),
        field("spanId", "span_id", 4, Kind::Id),
        field("traceId", "trace_id", 5, Kind::Id),
    ],
);
