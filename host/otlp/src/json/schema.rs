//! OTLP's messages as JSON knows them: names, numbers and kinds of their fields. Owns no code, only what the `.proto` files say:
//! here what all signals share, and each signal in a file of its own.

use crate::signal::Signal;

mod logs;
mod metrics;
mod traces;

/// The request of a signal: `ExportTraceServiceRequest`, which is `TracesData` too, and so on.
pub(super) fn request(signal: Signal) -> &'static Schema {
    match signal {
        Signal::Traces => &traces::REQUEST,
        Signal::Metrics => &metrics::REQUEST,
        Signal::Logs => &logs::REQUEST,
    }
}

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
    /// Zigzag.
    Sint32,
    Uint32,
    Fixed64,
    /// Signed.
    Sfixed64,
    Fixed32,
    Double,
    /// Packed.
    Doubles,
    /// Packed.
    Fixed64s,
    /// Packed.
    Uint64s,
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

static SCOPE: Schema = message(
    1,
    &[
        field("name", "name", 1, Kind::Text),
        field("version", "version", 2, Kind::Text),
        field("attributes", "attributes", 3, Kind::Messages(&KEY_VALUE)),
        field("droppedAttributesCount", "dropped_attributes_count", 4, Kind::Uint32),
    ],
);

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
