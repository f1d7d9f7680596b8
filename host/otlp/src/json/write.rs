//! Reading JSON and writing the wire format at once: serde visitors that follow the schema.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::schema::{self, FIELDS, Field, Kind, Schema};
use super::{packed, scalar};
use crate::signal::Signal;
use crate::wire;

/// A request that is no OTLP/JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed OTLP/JSON: {what}, at line {line} column {column}{}", Place(.path))]
pub struct JsonError {
    /// What is wrong.
    pub what: String,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in bytes.
    pub column: usize,
    /// The keys that lead there: `resourceSpans[0].scopeSpans[0].spans[2].traceId`; empty at the top.
    pub path: String,
}

struct Place<'p>(&'p str);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ", in {}", self.0) }
    }
}

/// What was accepted though the standard forbids it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lenient {
    /// Enums by name.
    pub enum_names: u64,
    /// Keys in `snake_case`.
    pub snake_case_keys: u64,
}

/// A request in protobuf.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Converted {
    /// An `ExportTraceServiceRequest`, or what metrics or logs have in its place.
    pub body: Vec<u8>,
    /// What was forgiven.
    pub lenient: Lenient,
}

/// Converts an `ExportTraceServiceRequest` (or `TracesData`), or what metrics or logs have in its place, from JSON to protobuf.
pub fn to_protobuf(signal: Signal, json: &[u8]) -> Result<Converted, JsonError> {
    let text = std::str::from_utf8(json).map_err(|error| {
        let before = &json[..error.valid_up_to()];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
        JsonError {
            what: "text is not UTF-8".to_owned(),
            line: memchr::memchr_iter(b'\n', before).count() + 1,
            column: before.len() - line_start + 1,
            path: String::new(),
        }
    })?;
    // Protobuf takes about half as much.
    let mut writer = Writer { out: Vec::with_capacity(json.len() / 2), ..Writer::default() };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = Message { writer: &mut writer, schema: schema::request(signal) }.deserialize(&mut deserializer);
    match read.and_then(|()| deserializer.end()) {
        Ok(()) => Ok(Converted { body: writer.out, lenient: writer.lenient }),
        Err(error) => Err(writer.error(&error)),
    }
}

/// What is written so far, and where the reader is.
#[derive(Debug, Default)]
struct Writer {
    out: Vec<u8>,
    path: Vec<Step>,
    lenient: Lenient,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Key(&'static str),
    Element(u32),
}

impl Writer {
    fn error(&self, error: &serde_json::Error) -> JsonError {
        use fmt::Write;
        let (line, column) = (error.line(), error.column());
        let mut what = error.to_string();
        if let Some(at) = what.rfind(&format!(" at line {line} column {column}")) {
            what.truncate(at);
        }
        let mut path = String::new();
        for step in &self.path {
            let written = match step {
                Step::Key(key) if path.is_empty() => path.write_str(key),
                Step::Key(key) => write!(path, ".{key}"),
                Step::Element(number) => write!(path, "[{number}]"),
            };
            written.expect("writing to a string does not fail");
        }
        JsonError { what, line, column, path }
    }

    /// Writes a message's header before its body, which begins at `body` and is all that was written since. Room of
    /// `room` bytes was left for the length in front of it.
    fn put_length(&mut self, body: usize, room: usize) {
        let len = self.out.len() - body;
        let (mut varint, mut count) = ([0u8; 10], 0);
        let mut rest = len as u64;
        while rest >= 0x80 {
            varint[count] = rest as u8 | 0x80;
            rest >>= 7;
            count += 1;
        }
        varint[count] = rest as u8;
        count += 1;
        let varint = &varint[..count];
        if count == room {
            self.out[body - room..body].copy_from_slice(varint);
        } else {
            self.out.splice(body - room..body, varint.iter().copied());
        }
    }
}

/// A message to read: an object.
struct Message<'w> {
    writer: &'w mut Writer,
    schema: &'static Schema,
}

impl<'de> DeserializeSeed<'de> for Message<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Message<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { writer, schema } = self;
        let mut spots = Spots { start: writer.out.len(), of: [None; FIELDS] };
        while let Some(field) = map.next_key_seed(Key { schema, lenient: &mut writer.lenient })? {
            let Some(field) = field else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let before = writer.out.len();
            writer.path.push(Step::Key(field.name));
            let there = map.next_value_seed(Value { writer, field })?;
            writer.path.pop();
            if there && schema.one_of {
                spots.replace_all(&mut writer.out, before);
            }
            spots.replace(&mut writer.out, field.number, there.then_some(before));
        }
        Ok(())
    }
}

/// Where the fields of a message that is being written stand: of a repeated key the last wins.
struct Spots {
    start: usize,
    of: [Option<(usize, usize)>; FIELDS],
}

impl Spots {
    /// Takes out what was written for `number` before, and notes what was written from `now` on.
    fn replace(&mut self, out: &mut Vec<u8>, number: u32, now: Option<usize>) {
        let spot = number as usize;
        let shift = self.of[spot].map_or(0, |(from, to)| {
            out.drain(from..to);
            for other in self.of.iter_mut().flatten().filter(|other| other.0 >= to) {
                *other = (other.0 - (to - from), other.1 - (to - from));
            }
            to - from
        });
        self.of[spot] = now.map(|now| (now - shift, out.len()));
    }

    /// Takes out everything that was written before `now`.
    fn replace_all(&mut self, out: &mut Vec<u8>, now: usize) {
        out.drain(self.start..now);
        self.of = [None; FIELDS];
    }
}

/// A key to read: the field that it names, or none.
struct Key<'l> {
    schema: &'static Schema,
    lenient: &'l mut Lenient,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        let fields = self.schema.fields;
        if let Some(field) = fields.iter().find(|field| field.name == key) {
            return Ok(Some(field));
        }
        let snake = fields.iter().find(|field| field.snake == key);
        self.lenient.snake_case_keys += u64::from(snake.is_some());
        Ok(snake)
    }
}

/// A field's value to read. Answers whether there is one: `null` is none.
struct Value<'w> {
    writer: &'w mut Writer,
    field: &'static Field,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        if let Kind::Double = self.field.kind {
            // From its text, for every bit of it.
            let raw = <&RawValue as serde::Deserialize>::deserialize(deserializer)?.get();
            if raw == "null" {
                return Ok(false);
            }
            let value = scalar::double(raw).map_err(Error::custom)?;
            wire::put_fixed64_field(&mut self.writer.out, self.field.number, value.to_bits());
            return Ok(true);
        }
        deserializer.deserialize_any(self)
    }
}

impl Value<'_> {
    fn unsigned(self, value: u64) -> Result<bool, String> {
        let Field { number, kind, .. } = *self.field;
        let out = &mut self.writer.out;
        let narrow = || u32::try_from(value).map_err(|_| format!("{value} is too large for 32 bits"));
        match kind {
            Kind::Int64 => {
                let value = i64::try_from(value).map_err(|_| format!("{value} is too large for an int64"))?;
                wire::put_varint_field(out, number, value as u64);
            }
            Kind::Sint32 => {
                let value = i32::try_from(value).map_err(|_| format!("{value} is too large for an int32"))?;
                wire::put_varint_field(out, number, zigzag(value));
            }
            Kind::Sfixed64 => {
                let value = i64::try_from(value).map_err(|_| format!("{value} is too large for an int64"))?;
                wire::put_fixed64_field(out, number, value as u64);
            }
            Kind::Uint32 => wire::put_varint_field(out, number, u64::from(narrow()?)),
            Kind::Fixed64 => wire::put_fixed64_field(out, number, value),
            Kind::Fixed32 => wire::put_fixed32_field(out, number, narrow()?),
            Kind::Enum(_) => {
                let value = i32::try_from(value).map_err(|_| format!("{value} is too large for an enum"))?;
                wire::put_varint_field(out, number, i64::from(value) as u64);
            }
            _ => return Err(format!("expected {}, not a number", expected(kind))),
        }
        Ok(true)
    }

    fn signed(self, value: i64) -> Result<bool, String> {
        let Field { number, kind, .. } = *self.field;
        match (kind, u64::try_from(value)) {
            (_, Ok(value)) => self.unsigned(value),
            (Kind::Int64, Err(_)) => {
                wire::put_varint_field(&mut self.writer.out, number, value as u64);
                Ok(true)
            }
            (Kind::Sfixed64, Err(_)) => {
                wire::put_fixed64_field(&mut self.writer.out, number, value as u64);
                Ok(true)
            }
            (Kind::Sint32, Err(_)) if i32::try_from(value).is_ok() => {
                wire::put_varint_field(&mut self.writer.out, number, zigzag(value as i32));
                Ok(true)
            }
            (Kind::Enum(_), Err(_)) if i32::try_from(value).is_ok() => {
                wire::put_varint_field(&mut self.writer.out, number, value as u64);
                Ok(true)
            }
            _ => Err(format!("expected {}, not {value}", expected(kind))),
        }
    }

    fn text(self, text: &str) -> Result<bool, String> {
        let Field { number, kind, .. } = *self.field;
        let out = &mut self.writer.out;
        match kind {
            Kind::Text | Kind::Texts => wire::put_bytes(out, number, text.as_bytes()),
            Kind::Id => {
                wire::put_header(out, number, text.len() / 2);
                scalar::hex(text, out)?;
            }
            Kind::Bytes => wire::put_bytes(out, number, &scalar::base64(text)?),
            Kind::Int64 | Kind::Sint32 | Kind::Sfixed64 => {
                return scalar::signed(text).and_then(|value| self.signed(value));
            }
            Kind::Uint32 | Kind::Fixed64 | Kind::Fixed32 => {
                return scalar::unsigned(text).and_then(|value| self.unsigned(value));
            }
            Kind::Enum(names) => {
                let named = names.iter().position(|name| *name == text);
                let value = named.ok_or_else(|| format!("`{text}` is no value of this enum"))?;
                self.writer.lenient.enum_names += 1;
                return self.unsigned(value as u64);
            }
            _ => return Err(format!("expected {}, not a string", expected(kind))),
        }
        Ok(true)
    }

    /// Writes the field's header and what `body` writes, whose length usually takes so many bytes.
    fn message<E>(self, length_hint: usize, body: impl FnOnce(&mut Writer) -> Result<(), E>) -> Result<bool, E> {
        let Self { writer, field } = self;
        wire::put_varint(&mut writer.out, u64::from(field.number) << 3 | 2);
        let start = writer.out.len() + length_hint;
        writer.out.resize(start, 0);
        body(writer)?;
        writer.put_length(start, length_hint);
        Ok(true)
    }

    /// A list of numbers.
    fn packed<'de, A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
        let kind = self.field.kind;
        self.message(1, |writer| {
            for number in 0.. {
                writer.path.push(Step::Element(number));
                if !packed::put_next(&mut writer.out, kind, &mut list)? {
                    writer.path.pop();
                    break;
                }
                writer.path.pop();
            }
            Ok(())
        })
    }
}

/// How the wire holds an `sint32`: small numbers of either sign in few bytes.
fn zigzag(value: i32) -> u64 {
    u64::from((value << 1 ^ value >> 31).cast_unsigned())
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Message(_) => "an object",
        Kind::Messages(_) | Kind::Texts | Kind::Doubles | Kind::Fixed64s | Kind::Uint64s => "an array",
        Kind::Text => "a string",
        Kind::Id => "a string of hex digits",
        Kind::Bytes => "a string of base64",
        Kind::Bool => "true or false",
        Kind::Int64 | Kind::Sint32 | Kind::Uint32 | Kind::Fixed64 | Kind::Sfixed64 | Kind::Fixed32 => {
            "an integer, as a number or a string"
        }
        Kind::Double => "a number",
        Kind::Enum(_) => "an integer",
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(expected(self.field.kind))
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<bool, E> {
        if !matches!(self.field.kind, Kind::Bool) {
            return Err(E::custom(format_args!("expected {}, not {value}", expected(self.field.kind))));
        }
        wire::put_varint_field(&mut self.writer.out, self.field.number, u64::from(value));
        Ok(true)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<bool, E> {
        self.unsigned(value).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<bool, E> {
        self.signed(value).map_err(E::custom)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<bool, E> {
        // `1e3` and `5.0` are integers too; what is beyond 64 bits arrives here as well and is none.
        let text = format!("{value:?}");
        match self.field.kind {
            Kind::Int64 | Kind::Sint32 | Kind::Sfixed64 => {
                scalar::signed(&text).and_then(|value| self.signed(value)).map_err(E::custom)
            }
            _ => scalar::unsigned(&text).and_then(|value| self.unsigned(value)).map_err(E::custom),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<bool, E> {
        if matches!(self.field.kind, Kind::Texts) {
            return Err(E::custom("expected an array, not a string"));
        }
        self.text(text).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<bool, A::Error> {
        let Kind::Message(schema) = self.field.kind else {
            return Err(A::Error::custom(format_args!("expected {}, not an object", expected(self.field.kind))));
        };
        self.message(schema.length_hint, |writer| Message { writer, schema }.visit_map(map))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
        if packed::is_packed(self.field.kind) {
            return self.packed(list);
        }
        let Self { writer, field } = self;
        if !matches!(field.kind, Kind::Messages(_) | Kind::Texts) {
            return Err(A::Error::custom(format_args!("expected {}, not an array", expected(field.kind))));
        }
        for number in 0.. {
            writer.path.push(Step::Element(number));
            if list.next_element_seed(Element { writer, field })?.is_none() {
                writer.path.pop();
                break;
            }
            writer.path.pop();
        }
        Ok(true)
    }
}

/// An element of a repeated field to read. `null` is an empty one, so that the others keep their places.
struct Element<'w> {
    writer: &'w mut Writer,
    field: &'static Field,
}

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Element<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self.field.kind, Kind::Texts) { "a string" } else { "an object" })
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        wire::put_bytes(&mut self.writer.out, self.field.number, b"");
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if !matches!(self.field.kind, Kind::Texts) {
            return Err(E::custom("expected an object, not a string"));
        }
        wire::put_bytes(&mut self.writer.out, self.field.number, text.as_bytes());
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Kind::Messages(schema) = self.field.kind else {
            return Err(A::Error::custom("expected a string, not an object"));
        };
        let value = Value { writer: self.writer, field: self.field };
        value.message(schema.length_hint, |writer| Message { writer, schema }.visit_map(map)).map(drop)
    }
}
