//! JSON: an object of objects by key, or an array of objects of which one field is the key. Objects within are reached by dotted
//! names, as in `country.iso_code`.
//!
//! Read row by row: a tree of the whole file would take many times its size.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::keyed::{Builder, Cell, Keyed, RowError};

/// Reads a file. `key` names the field of keys, for an array.
pub(super) fn read(content: &[u8], key: Option<&str>) -> Result<Keyed, String> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    if content.trim_ascii().is_empty() {
        return Err("it is empty; an object of keys, or an array of objects, is expected".to_owned());
    }
    let mut builder = Builder::new(false);
    let mut json = serde_json::Deserializer::from_slice(content);
    let whole = Whole { builder: &mut builder, key }.deserialize(&mut json).and_then(|()| json.end());
    whole.map_err(|error| error.to_string())?;
    Ok(builder.finish())
}

/// The whole file.
struct Whole<'b> {
    builder: &'b mut Builder,
    key: Option<&'b str>,
}

impl<'de> DeserializeSeed<'de> for Whole<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Whole<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of keys, or an array of objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            self.builder.row(&key).map_err(A::Error::custom)?;
            let Row(fields) = map.next_value()?;
            self.builder.fields(&fields).map_err(A::Error::custom)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Some(name) = self.key else {
            return Err(A::Error::custom("it is an array: set `key` to the field of its objects that is the key"));
        };
        while let Some(Row(fields)) = list.next_element()? {
            let key = match fields.get(name) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) if !number.is_f64() => number.to_string(),
                Some(_) => {
                    return Err(A::Error::custom(format!("the key `{name}` is neither a text nor a whole number")));
                }
                None => return Err(A::Error::custom(format!("an object has no field `{name}`, which is the key"))),
            };
            self.builder.row(&key).map_err(A::Error::custom)?;
            self.builder.fields(&fields).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

/// The fields of a row.
struct Row(Map<String, Value>);

impl<'de> serde::Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Row;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of fields")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Row, A::Error> {
                let mut fields = Map::new();
                while let Some((name, value)) = map.next_entry()? {
                    fields.insert(name, value);
                }
                Ok(Row(fields))
            }
        }
        deserializer.deserialize_any(Fields)
    }
}

impl Builder {
    /// All fields of the row, and its end.
    fn fields(&mut self, fields: &Map<String, Value>) -> Result<(), RowError> {
        self.within("", fields)?;
        self.end_row()
    }

    fn within(&mut self, prefix: &str, fields: &Map<String, Value>) -> Result<(), RowError> {
        for (name, value) in fields {
            let dotted;
            let name = if prefix.is_empty() {
                name
            } else {
                dotted = format!("{prefix}.{name}");
                &dotted
            };
            let cell = match value {
                Value::Null => continue,
                Value::String(text) => Cell::Text(text),
                Value::Bool(boolean) => Cell::Boolean(*boolean),
                Value::Number(number) => number
                    .as_i64()
                    .map(Cell::Integer)
                    .or_else(|| number.as_f64().map(Cell::Float))
                    .unwrap_or(Cell::Other),
                Value::Array(_) | Value::Object(_) => Cell::Other,
            };
            let field = self.field(name);
            self.cell(field, cell)?;
            if let Value::Object(fields) = value {
                self.within(name, fields)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
