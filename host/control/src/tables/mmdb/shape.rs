//! What a record of a `MaxMind` DB is made of, without its values: the dotted paths of its fields.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A record without its values.
pub(super) enum Shape<'a> {
    Leaf,
    Map(Vec<(&'a str, Shape<'a>)>),
    List(Vec<Shape<'a>>),
}

impl Shape<'_> {
    /// Adds the path of everything in it, until there is one more than `most`.
    pub fn gather(&self, path: &mut String, names: &mut HashSet<String>, most: usize) {
        match self {
            Self::Leaf => {}
            Self::Map(fields) => {
                for (name, shape) in fields {
                    shape.step(name, path, names, most);
                }
            }
            Self::List(items) => {
                for (at, shape) in items.iter().enumerate() {
                    shape.step(&at.to_string(), path, names, most);
                }
            }
        }
    }

    fn step(&self, name: &str, path: &mut String, names: &mut HashSet<String>, most: usize) {
        let before = path.len();
        if before > 0 {
            path.push('.');
        }
        path.push_str(name);
        if names.len() <= most {
            if !names.contains(path.as_str()) {
                names.insert(path.clone());
            }
            self.gather(path, names, most);
        }
        path.truncate(before);
    }
}

impl<'de> Deserialize<'de> for Shape<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Shape<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a record")
            }

            fn visit_borrowed_str<E>(self, _text: &'de str) -> Result<Self::Value, E> {
                Ok(Shape::Leaf)
            }

            fn visit_borrowed_bytes<E>(self, _bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(Shape::Leaf)
            }

            fn visit_bool<E>(self, _boolean: bool) -> Result<Self::Value, E> {
                Ok(Shape::Leaf)
            }

            fn visit_i64<E>(self, _number: i64) -> Result<Self::Value, E> {
                Ok(Shape::Leaf)
            }

            fn visit_u64<E>(self, _number: u64) -> Result<Self::Value, E> {
                Ok(Shape::Leaf)
            }

            fn visit_u128<E>(self, _number: u128) -> Result<Self::Value, E> {
                Ok(Shape::Leaf)
            }

            fn visit_f64<E>(self, _number: f64) -> Result<Self::Value, E> {
                Ok(Shape::Leaf)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Shape::Map(fields))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Shape::List(items))
            }
        }
        deserializer.deserialize_any(Any)
    }
}
