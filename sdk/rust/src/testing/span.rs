//! Spans as tests write and read them: built in code or read from JSON.
//!
//! The JSON form is what it looks like: `{"name": "GET /users", "kind": 2, "attributes": {"http.route": "/users"}}`.
//! Integers are integers, numbers with a point are floats, `{"$bytes": "00ff"}` are bytes. Everything may be left out.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span with its resource, its scope and what came with its request.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Span {
    /// 32 hexadecimal digits, or empty.
    #[serde(skip_serializing_if = "is_default")]
    pub trace_id: String,
    /// 16 hexadecimal digits, or empty.
    #[serde(skip_serializing_if = "is_default")]
    pub span_id: String,
    /// 16 hexadecimal digits, or empty.
    #[serde(skip_serializing_if = "is_default")]
    pub parent_span_id: String,
    /// The W3C trace state.
    #[serde(skip_serializing_if = "is_default")]
    pub trace_state: String,
    /// The span's name.
    #[serde(skip_serializing_if = "is_default")]
    pub name: String,
    /// OTLP's number: 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    #[serde(skip_serializing_if = "is_default")]
    pub kind: i64,
    /// OTLP's flags.
    #[serde(skip_serializing_if = "is_default")]
    pub flags: u32,
    /// Nanoseconds since the Unix epoch.
    #[serde(skip_serializing_if = "is_default")]
    pub start_time_unix_nano: u64,
    /// Nanoseconds since the Unix epoch.
    #[serde(skip_serializing_if = "is_default")]
    pub end_time_unix_nano: u64,
    /// Code and message.
    #[serde(skip_serializing_if = "is_default")]
    pub status: Status,
    /// The span's own attributes.
    #[serde(skip_serializing_if = "is_default")]
    pub attributes: Attributes,
    /// Events in order.
    #[serde(skip_serializing_if = "is_default")]
    pub events: Vec<Event>,
    /// Links in order.
    #[serde(skip_serializing_if = "is_default")]
    pub links: Vec<Link>,
    /// Attributes that the sender left out.
    #[serde(skip_serializing_if = "is_default")]
    pub dropped_attributes_count: u32,
    /// Events that the sender left out.
    #[serde(skip_serializing_if = "is_default")]
    pub dropped_events_count: u32,
    /// Links that the sender left out.
    #[serde(skip_serializing_if = "is_default")]
    pub dropped_links_count: u32,
    /// Spans with equal resources share one.
    #[serde(skip_serializing_if = "is_default")]
    pub resource: Resource,
    /// Spans with equal scopes and resources share one.
    #[serde(skip_serializing_if = "is_default")]
    pub scope: Scope,
    /// What came with the request that brought the span.
    #[serde(skip_serializing_if = "is_default")]
    pub request: Request,
}

/// A span's status.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Status {
    /// 0 unset, 1 ok, 2 error.
    pub code: i64,
    /// Why.
    #[serde(skip_serializing_if = "is_default")]
    pub message: String,
}

/// An event of a span.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Event {
    /// The event's name.
    pub name: String,
    /// Nanoseconds since the Unix epoch.
    #[serde(skip_serializing_if = "is_default")]
    pub time_unix_nano: u64,
    /// The event's attributes.
    #[serde(skip_serializing_if = "is_default")]
    pub attributes: Attributes,
}

/// A link of a span.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Link {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// The W3C trace state.
    #[serde(skip_serializing_if = "is_default")]
    pub trace_state: String,
    /// The link's attributes.
    #[serde(skip_serializing_if = "is_default")]
    pub attributes: Attributes,
}

/// Where spans come from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Resource {
    /// The resource's attributes, `service.name` among them.
    #[serde(skip_serializing_if = "is_default")]
    pub attributes: Attributes,
    /// The schema that the resource follows.
    #[serde(skip_serializing_if = "is_default")]
    pub schema_url: String,
}

/// Which library made spans.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scope {
    /// The library's name.
    #[serde(skip_serializing_if = "is_default")]
    pub name: String,
    /// The library's version.
    #[serde(skip_serializing_if = "is_default")]
    pub version: String,
    /// The scope's attributes.
    #[serde(skip_serializing_if = "is_default")]
    pub attributes: Attributes,
    /// The schema that the scope's spans follow.
    #[serde(skip_serializing_if = "is_default")]
    pub schema_url: String,
}

/// What came with a request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// The tenant.
    #[serde(skip_serializing_if = "is_default")]
    pub tenant: String,
    /// The sender's address.
    #[serde(skip_serializing_if = "is_default")]
    pub peer: String,
    /// Forwarded headers.
    #[serde(skip_serializing_if = "is_default")]
    pub headers: BTreeMap<String, String>,
}

/// Attributes in order. Keys may repeat in code, as senders do repeat them, but not in JSON. Two lists are equal if
/// they have the same keys with the same values, whatever their order.
#[derive(Debug, Clone, Default)]
pub struct Attributes(pub Vec<(String, Value)>);

impl Attributes {
    /// The first value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// Adds an attribute at the end.
    pub fn push(&mut self, key: impl Into<String>, value: impl Into<Value>) {
        self.0.push((key.into(), value.into()));
    }

    fn sorted(&self) -> Vec<&(String, Value)> {
        let mut sorted: Vec<_> = self.0.iter().collect();
        sorted.sort_by(|one, other| one.0.cmp(&other.0));
        sorted
    }
}

impl PartialEq for Attributes {
    fn eq(&self, other: &Self) -> bool {
        self.sorted() == other.sorted()
    }
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = serde_json::Map::deserialize(deserializer)?;
        let pairs = map.into_iter().map(|(key, json)| Ok((key, Value::from_json(json).map_err(D::Error::custom)?)));
        Ok(Self(pairs.collect::<Result<_, D::Error>>()?))
    }
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Sent without a value.
    Empty,
    /// A text.
    Text(String),
    /// A boolean.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// A float.
    Float(f64),
    /// Raw bytes.
    Bytes(Vec<u8>),
    /// Values in order.
    Array(Vec<Value>),
    /// Values by key.
    Map(Attributes),
}

impl Value {
    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn from_json(json: serde_json::Value) -> Result<Self, String> {
        Ok(match json {
            serde_json::Value::Null => Self::Empty,
            serde_json::Value::Bool(boolean) => Self::Boolean(boolean),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(integer) => Self::Integer(integer),
                None => Self::Float(number.as_f64().ok_or("a number that is neither an i64 nor an f64")?),
            },
            serde_json::Value::String(text) => Self::Text(text),
            serde_json::Value::Array(values) => {
                Self::Array(values.into_iter().map(Self::from_json).collect::<Result<_, _>>()?)
            }
            serde_json::Value::Object(map) => {
                if let (1, Some(serde_json::Value::String(hex))) = (map.len(), map.get("$bytes")) {
                    return from_hex(hex).map(Self::Bytes).ok_or_else(|| "$bytes must be hexadecimal".to_owned());
                }
                let pairs = map.into_iter().map(|(key, json)| Ok((key, Self::from_json(json)?)));
                Self::Map(Attributes(pairs.collect::<Result<_, String>>()?))
            }
        })
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Empty => serializer.serialize_unit(),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Boolean(boolean) => serializer.serialize_bool(*boolean),
            Self::Integer(integer) => serializer.serialize_i64(*integer),
            Self::Float(float) => serializer.serialize_f64(*float),
            Self::Bytes(bytes) => serializer.collect_map([("$bytes", to_hex(bytes))]),
            Self::Array(values) => serializer.collect_seq(values),
            Self::Map(map) => map.serialize(serializer),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

impl From<i64> for Value {
    fn from(integer: i64) -> Self {
        Self::Integer(integer)
    }
}

impl From<f64> for Value {
    fn from(float: f64) -> Self {
        Self::Float(float)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Self::Array(values.into_iter().map(Into::into).collect())
    }
}

impl Span {
    /// A span with a name and nothing else.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Reads a span from JSON; panics if it is none.
    pub fn from_json(json: &str) -> Self {
        match serde_json::from_str(json) {
            Ok(span) => span,
            Err(error) => panic!("not a span: {error}: {json}"),
        }
    }

    /// Adds an attribute.
    #[must_use]
    pub fn attribute(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.attributes.push(key, value);
        self
    }

    /// Adds an attribute to the resource.
    #[must_use]
    pub fn resource_attribute(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.resource.attributes.push(key, value);
        self
    }

    /// Sets the resource's `service.name`.
    #[must_use]
    pub fn service(self, name: &str) -> Self {
        self.resource_attribute("service.name", name)
    }

    /// Sets the kind: 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    #[must_use]
    pub fn kind(mut self, kind: i64) -> Self {
        self.kind = kind;
        self
    }

    /// Sets the trace id, 32 hexadecimal digits.
    #[must_use]
    pub fn trace(mut self, id: impl Into<String>) -> Self {
        self.trace_id = id.into();
        self
    }

    /// Sets the trace state.
    #[must_use]
    pub fn trace_state(mut self, state: &str) -> Self {
        state.clone_into(&mut self.trace_state);
        self
    }

    /// Sets the status: 0 unset, 1 ok, 2 error.
    #[must_use]
    pub fn status(mut self, code: i64, message: &str) -> Self {
        self.status = Status { code, message: message.to_owned() };
        self
    }

    /// Lets the span take this long.
    #[must_use]
    pub fn lasting(mut self, nanoseconds: u64) -> Self {
        self.end_time_unix_nano = self.start_time_unix_nano + nanoseconds;
        self
    }

    /// Adds an event.
    #[must_use]
    pub fn event<'a>(mut self, name: &str, attributes: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        let attributes = attributes.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        self.events.push(Event { name: name.to_owned(), time_unix_nano: 0, attributes: Attributes(attributes) });
        self
    }

    /// The text of an attribute.
    pub fn text_of(&self, key: &str) -> Option<&str> {
        self.attributes.get(key).and_then(Value::as_str)
    }

    /// The text of an attribute of the resource.
    pub fn resource_text_of(&self, key: &str) -> Option<&str> {
        self.resource.attributes.get(key).and_then(Value::as_str)
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

pub(super) fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
        hex
    })
}

pub(super) fn from_hex(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        hex.chars().map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok())).collect();
    let digits = digits?;
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
