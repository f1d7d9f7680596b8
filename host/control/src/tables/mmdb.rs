//! `MaxMind` DB, as of countries, cities or networks by IP address. Fields are dotted paths: `country.iso_code`, `subdivisions.0.names.en`.
//!
//! The file is in memory and not mapped: one that is cut in place would end the process. It is verified whole before it is asked, and its
//! field names are gathered then, so that a misspelt one is an error and not a value that is never there.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;

use maxminddb::{LookupResult, MaxMindDbError, PathElement, Reader, WithinOptions};
use otlp::path::Layout;
use otlp::value::Value;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use wasm::tables::{Rows, Table};

mod shape;

use shape::Shape;

/// Names that are gathered; those of a file with more are not checked.
const FIELDS: usize = 10_000;

/// A database that has been verified.
pub(super) struct Mmdb {
    reader: Reader<Vec<u8>>,
    /// `None` where there are too many.
    fields: Option<HashSet<String>>,
    entries: u64,
    bytes: u64,
}

impl fmt::Debug for Mmdb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mmdb").field("entries", &self.entries).finish_non_exhaustive()
    }
}

/// Takes a file.
pub(super) fn read(content: Vec<u8>) -> Result<Mmdb, String> {
    let bytes = content.len() as u64;
    let said = |error: MaxMindDbError| error.to_string();
    let reader = Reader::from_source(content).map_err(said)?;
    reader.verify().map_err(said)?;
    let (entries, fields) = names(&reader).map_err(said)?;
    Ok(Mmdb { reader, fields, entries, bytes })
}

/// How many networks there are, and the names of all fields.
fn names(reader: &Reader<Vec<u8>>) -> Result<(u64, Option<HashSet<String>>), MaxMindDbError> {
    let (mut entries, mut records, mut names) = (0, HashSet::new(), HashSet::new());
    for network in reader.networks(WithinOptions::default())? {
        let network = network?;
        entries += 1;
        // Many networks share a record.
        if network.offset().is_some_and(|offset| records.insert(offset))
            && let Some(shape) = network.decode::<Shape<'_>>()?
        {
            shape.gather(&mut String::new(), &mut names, FIELDS);
        }
    }
    Ok((entries, (names.len() <= FIELDS).then_some(names)))
}

impl Mmdb {
    /// How many networks it has.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Bytes of memory that it takes, about.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn look(&self, key: &[u8]) -> Option<LookupResult<'_, Vec<u8>>> {
        // No address: a host's name, say, which clients may have instead.
        let address: IpAddr = std::str::from_utf8(key).ok()?.parse().ok()?;
        // IPv6 in a database of IPv4 is not found either.
        self.reader.lookup(address.to_canonical()).ok().filter(LookupResult::has_data)
    }
}

impl Table for Mmdb {
    fn find<'t>(&'t self, keys: &mut dyn Iterator<Item = &[u8]>) -> Box<dyn Rows + 't> {
        Box::new(Found { table: self, rows: keys.map(|key| self.look(key)).collect() })
    }
}

/// Its records for some keys.
struct Found<'t> {
    table: &'t Mmdb,
    rows: Vec<Option<LookupResult<'t, Vec<u8>>>>,
}

impl Rows for Found<'_> {
    fn found(&self) -> u64 {
        self.rows.iter().flatten().count() as u64
    }

    fn values<'r>(&'r self, field: &str, _layout: Layout) -> Option<Box<dyn Iterator<Item = Option<Value<'r>>> + 'r>> {
        if self.table.fields.as_ref().is_some_and(|fields| !fields.contains(field)) {
            return None;
        }
        let steps: Vec<String> = field.split('.').map(str::to_owned).collect();
        Some(Box::new(self.rows.iter().map(move |row| {
            let step = |step| match str::parse(step) {
                Ok(index) => PathElement::Index(index),
                Err(_) => PathElement::Key(step),
            };
            let path: Vec<PathElement<'_>> = steps.iter().map(|text| step(text)).collect();
            // A path through what is no map here is not there.
            row.as_ref()?.decode_path::<Scalar<'_>>(&path).ok().flatten().map(|Scalar(value)| value)
        })))
    }
}

/// A single value.
struct Scalar<'a>(Value<'a>);

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Scalar(Value::Text(text.as_bytes())))
            }

            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(Scalar(Value::Bytes(bytes)))
            }

            fn visit_bool<E>(self, boolean: bool) -> Result<Self::Value, E> {
                Ok(Scalar(Value::Boolean(boolean)))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Scalar(Value::Integer(number)))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Scalar(i64::try_from(number).map_or(Value::Float(number as f64), Value::Integer)))
            }

            fn visit_u128<E>(self, _number: u128) -> Result<Self::Value, E> {
                Ok(Scalar(Value::Empty))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
                Ok(Scalar(Value::Float(number)))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar(Value::Empty))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar(Value::Empty))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests;
