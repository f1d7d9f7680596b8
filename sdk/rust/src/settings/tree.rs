//! Deserializing a JSON tree, with errors that know where in it they happened.
//!
//! Every type asks the tree what it holds (`deserialize_any`), so little code is generated for each settings type: the
//! plugins' files stay small.

use std::fmt;

use serde::de::value::StringDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde_json::Value;

/// A value of the tree.
pub(super) struct Node(pub Value);

/// What is wrong, and where.
#[derive(Debug)]
pub(super) struct Error {
    /// `.rules[0].rate`; empty for the settings as a whole.
    path: String,
    problem: String,
}

impl Error {
    fn within(mut self, step: &str) -> Self {
        self.path.insert_str(0, step);
        self
    }

    fn within_key(self, key: &str) -> Self {
        self.within(&format!(".{key}"))
    }
}

impl de::Error for Error {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Self { path: String::new(), problem: problem.to_string() }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!("expected {expected}, not {}", Found(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(found, expected)
    }
}

/// What was found instead, in an operator's words. Floats are not shown: the code that prints them is a tenth of a plugin.
struct Found<'a>(Unexpected<'a>);

impl fmt::Display for Found<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Unexpected::Bool(boolean) => write!(formatter, "{boolean}"),
            Unexpected::Unsigned(number) => write!(formatter, "{number}"),
            Unexpected::Signed(number) => write!(formatter, "{number}"),
            Unexpected::Float(_) => formatter.write_str("this number"),
            Unexpected::Str(text) => write!(formatter, "the text \"{text}\""),
            Unexpected::Unit | Unexpected::Option => formatter.write_str("nothing"),
            Unexpected::Seq => formatter.write_str("a list"),
            Unexpected::Map => formatter.write_str("a map"),
            _ => formatter.write_str("this"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("settings")?;
        formatter.write_str(&self.path)?;
        formatter.write_str(": ")?;
        formatter.write_str(&self.problem)
    }
}

impl std::error::Error for Error {}

impl<'de> Deserializer<'de> for Node {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(boolean) => visitor.visit_bool(boolean),
            Value::Number(number) => {
                if let Some(number) = number.as_u64() {
                    visitor.visit_u64(number)
                } else if let Some(number) = number.as_i64() {
                    visitor.visit_i64(number)
                } else {
                    visitor.visit_f64(number.as_f64().ok_or_else(|| Error::custom("a number out of range"))?)
                }
            }
            Value::String(text) => visitor.visit_string(text),
            Value::Array(values) => visitor.visit_seq(Elements { values: values.into_iter(), next: 0 }),
            Value::Object(map) => visitor.visit_map(Fields { fields: map.into_iter(), value: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::String(name) => visitor.visit_enum(Variant { name, value: None }),
            Value::Object(map) if map.len() == 1 => match map.into_iter().next() {
                Some((name, value)) => visitor.visit_enum(Variant { name, value: Some(value) }),
                None => Err(Error::custom("expected one key")),
            },
            _ => Err(Error::custom("expected a text, or a map of one key")),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// The elements of a list.
struct Elements {
    values: std::vec::IntoIter<Value>,
    next: usize,
}

impl<'de> SeqAccess<'de> for Elements {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(value) = self.values.next() else { return Ok(None) };
        let element = seed.deserialize(Node(value)).map_err(|error| error.within(&format!("[{}]", self.next)))?;
        self.next += 1;
        Ok(Some(element))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.values.len())
    }
}

/// The fields of a map.
struct Fields {
    fields: serde_json::map::IntoIter,
    value: Option<(String, Value)>,
}

impl<'de> MapAccess<'de> for Fields {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((key, value)) = self.fields.next() else { return Ok(None) };
        let deserializer: StringDeserializer<Error> = key.clone().into_deserializer();
        let field = seed.deserialize(deserializer).map_err(|error| error.within_key(&key))?;
        self.value = Some((key, value));
        Ok(Some(field))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        let (key, value) = self.value.take().ok_or_else(|| Error::custom("a value was asked for before its key"))?;
        seed.deserialize(Node(value)).map_err(|error| error.within_key(&key))
    }
}

/// A variant of an enum: its name alone, or with a value.
struct Variant {
    name: String,
    value: Option<Value>,
}

impl<'de> EnumAccess<'de> for Variant {
    type Error = Error;
    type Variant = Content;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Content), Error> {
        let deserializer: StringDeserializer<Error> = self.name.into_deserializer();
        seed.deserialize(deserializer).map(|variant| (variant, Content(self.value)))
    }
}

/// What a variant holds.
struct Content(Option<Value>);

impl Content {
    fn node(self) -> Node {
        Node(self.0.unwrap_or(Value::Null))
    }
}

impl<'de> VariantAccess<'de> for Content {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        if self.0.is_none() { Ok(()) } else { Err(Error::custom("this choice takes no value")) }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.node())
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.node().deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        self.node().deserialize_any(visitor)
    }
}
