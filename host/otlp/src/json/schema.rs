//! The trace messages as JSON knows them: names, numbers and kinds of their fields. Owns no code, only what the `.proto`
//! files say.

/// A message.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) fields: &'static [Field],
    /// Whether its fields are one `oneof`.
    pub(super) one_of: bool,
    /// How many bytes its length usually takes: a guess too low or high costs a move of its bytes.
    pub(super) length_hint: usize,
}

/// A field.
#[derive(Debug)]
pub(super) struct Field {
    /// Its name in JSON.
    pub(super) name: &'static str,
    /// Its name in the `.proto` file, which JSON must not use.
    pub(super) snake: &'static str,
    pub(super) number: u32,
    pub(super) kind: Kind,
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Message(&'static Schema),
    Messages(&'static Schema),
    Text,
    Texts,
    /// Bytes as hex.
    Id,
    /// Bytes as base64.
    Bytes,
    Bool,
    Int64,
    Uint32,
    Fixed64,
    Fixed32,
    Double,
    /// An enum, with the names of its values from 0 on.
    Enum(&'static [&'static str]),
}

/// Field numbers are below this.
pub(super) const FIELDS: usize = 17;

const fn field(name: &'static str, snake: &'static str, number: u32, kind: Kind) -> Field {
    Field { name, snake, number, kind }
}

const fn message(length_hint: usize, fields: &'static [Field]) -> Schema {
    Schema { fields, one_of: false, length_hint }
}

/// `ExportTraceServiceRequest`, and `TracesData`.
pub(super) static REQUEST: Schema =
    message(0, &[field("resourceSpans", "resource_spans", 1, Kind::Messages(&RESOURCE_SPANS))]);

static RESOURCE_SPANS: Schema = message(
    3,
    &[
        field("resource", "resource", 1, Kind::Message(&RESOURCE)),
        field("scopeSpans", "scope_spans", 2, Kind::Messages(&SCOPE_SPANS)),
        field("schemaUrl", "schema_url", 3, Kind::Text),
    ],
);

static RESOURCE: Schema = message(
    2,
    &[
        field("attributes", "attributes", 1, Kind::Messages(&KEY_VALUE)),
        field("droppedAttributesCount", "dropped_attributes_count", 2, Kind::Uint32),
        field("entityRefs", "entity_refs", 3, Kind::Messages(&ENTITY_REF)),
    ],
);

static ENTITY_REF: Schema = message(
    1,
    &[
        field("schemaUrl", "schema_url", 1, Kind::Text),
        field("type", "type", 2, Kind::Text),
        field("idKeys", "id_keys", 3, Kind::Texts),
        field("descriptionKeys", "description_keys", 4, Kind::Texts),
    ],
);

static SCOPE_SPANS: Schema = message(
    3,
    &[
        field("scope", "scope", 1, Kind::Message(&SCOPE)),
        field("spans", "spans", 2, Kind::Messages(&SPAN)),
        field("schemaUrl", "schema_url", 3, Kind::Text),
    ],
);

static SCOPE: Schema = message(
    1,
    &[
        field("name", "name", 1, Kind::Text),
        field("version", "version", 2, Kind::Text),
        field("attributes", "attributes", 3, Kind::Messages(&KEY_VALUE)),
        field("droppedAttributesCount", "dropped_attributes_count", 4, Kind::Uint32),
    ],
);

static SPAN: Schema = message(
    2,
    &[
        field("traceId", "trace_id", 1, Kind::Id),
        field("spanId", "span_id", 2, Kind::Id),
        field("traceState", "trace_state", 3, Kind::Text),
        field("parentSpanId", "parent_span_id", 4, Kind::Id),
        field("name", "name", 5, Kind::Text),
        field("kind", "kind", 6, Kind::Enum(&SPAN_KINDS)),
        field("startTimeUnixNano", "start_time_unix_nano", 7, Kind::Fixed64),
        field("endTimeUnixNano", "end_time_unix_nano", 8, Kind::Fixed64),
        field("attributes", "attributes", 9, Kind::Messages(&KEY_VALUE)),
        field("droppedAttributesCount", "dropped_attributes_count", 10, Kind::Uint32),
        field("events", "events", 11, Kind::Messages(&EVENT)),
        field("droppedEventsCount", "dropped_events_count", 12, Kind::Uint32),
        field("links", "links", 13, Kind::Messages(&LINK)),
        field("droppedLinksCount", "dropped_links_count", 14, Kind::Uint32),
        field("status", "status", 15, Kind::Message(&STATUS)),
        field("flags", "flags", 16, Kind::Fixed32),
    ],
);

static SPAN_KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];

static EVENT: Schema = message(
    1,
    &[
        field("timeUnixNano", "time_unix_nano", 1, Kind::Fixed64),
        field("name", "name", 2, Kind::Text),
        field("attributes", "attributes", 3, Kind::Messages(&KEY_VALUE)),
        field("droppedAttributesCount", "dropped_attributes_count", 4, Kind::Uint32),
    ],
);

static LINK: Schema = message(
    1,
    &[
        field("traceId", "trace_id", 1, Kind::Id),
        field("spanId", "span_id", 2, Kind::Id),
        field("traceState", "trace_state", 3, Kind::Text),
        field("attributes", "attributes", 4, Kind::Messages(&KEY_VALUE)),
        field("droppedAttributesCount", "dropped_attributes_count", 5, Kind::Uint32),
        field("flags", "flags", 6, Kind::Fixed32),
    ],
);

static STATUS: Schema =
    message(1, &[field("message", "message", 2, Kind::Text), field("code", "code", 3, Kind::Enum(&STATUS_CODES))]);

static STATUS_CODES: [&str; 3] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

static KEY_VALUE: Schema =
    message(1, &[field("key", "key", 1, Kind::Text), field("value", "value", 2, Kind::Message(&ANY_VALUE))]);

static ANY_VALUE: Schema = Schema {
    fields: &[
        field("stringValue", "string_value", 1, Kind::Text),
        field("boolValue", "bool_value", 2, Kind::Bool),
        field("intValue", "int_value", 3, Kind::Int64),
        field("doubleValue", "double_value", 4, Kind::Double),
        field("arrayValue", "array_value", 5, Kind::Message(&ARRAY)),
        field("kvlistValue", "kvlist_value", 6, Kind::Message(&KEY_VALUES)),
        field("bytesValue", "bytes_value", 7, Kind::Bytes),
    ],
    one_of: true,
    length_hint: 1,
};

static ARRAY: Schema = message(1, &[field("values", "values", 1, Kind::Messages(&ANY_VALUE))]);

static KEY_VALUES: Schema = message(1, &[field("values", "values", 1, Kind::Messages(&KEY_VALUE))]);
