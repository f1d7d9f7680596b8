//! Conditions as a sidecar's `when` writes them: a list of which one suffices; an element that is itself a list wants all of its
//! conditions, of one span.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use tracemill_sdk::Refusal;
use tracemill_sdk::bindings::types::{self, Operator, Value};
use tracemill_sdk::settings::Scalar;

/// Alternatives; each wants all of its conditions.
#[derive(Debug, serde::Deserialize)]
pub struct Conditions(Vec<All>);

/// Conditions on one span.
#[derive(Debug)]
struct All(Vec<Written>);

/// One condition as it is written.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    path: String,
    #[serde(default)]
    exists: Option<bool>,
    #[serde(default)]
    equals: Option<Values>,
    #[serde(default)]
    prefix: Option<Values>,
    #[serde(default)]
    contains: Option<Values>,
    #[serde(default)]
    matches: Option<Values>,
    #[serde(default)]
    greater: Option<Values>,
    #[serde(default)]
    less: Option<Values>,
    #[serde(default)]
    not: bool,
}

/// One value, or a list of which one suffices.
#[derive(Debug)]
struct Values(Vec<Scalar>);

impl Conditions {
    /// As the contract has them.
    pub fn read(self, at: &str) -> Result<Vec<Vec<types::Condition>>, Refusal> {
        if self.0.is_empty() {
            return Err(Refusal::at(
                at,
                "is empty; name at least one condition, `{ path: name, exists: true }` for instance",
            ));
        }
        let list = |(index, all): (usize, All)| {
            let one = all.0.len() == 1;
            let read = |(inner, written): (usize, Written)| {
                let at = if one { format!("{at}[{index}]") } else { format!("{at}[{index}][{inner}]") };
                written.read(&at)
            };
            if all.0.is_empty() {
                return Err(Refusal::at(&format!("{at}[{index}]"), "is an empty list, which every span would meet"));
            }
            all.0.into_iter().enumerate().map(read).collect()
        };
        self.0.into_iter().enumerate().map(list).collect()
    }
}

impl Written {
    fn read(self, at: &str) -> Result<types::Condition, Refusal> {
        let words = [
            (Operator::Equals, self.equals),
            (Operator::Prefix, self.prefix),
            (Operator::Contains, self.contains),
            (Operator::Matches, self.matches),
            (Operator::Greater, self.greater),
            (Operator::Less, self.less),
        ];
        let mut tests: Vec<_> =
            words.into_iter().filter_map(|(operator, values)| Some((operator, values?.0))).collect();
        match self.exists {
            Some(true) => tests.push((Operator::Exists, Vec::new())),
            Some(false) => {
                return Err(Refusal::at(&format!("{at}.exists"), "must be true; write `not: true` for its opposite"));
            }
            None => {}
        }
        let (Some((operator, values)), true) = (tests.pop(), tests.is_empty()) else {
            let problem = "needs `path` and exactly one of exists, equals, prefix, contains, matches, greater, less";
            return Err(Refusal::at(at, problem));
        };
        if values.is_empty() && operator != Operator::Exists {
            return Err(Refusal::at(at, "must have a value or a list of values"));
        }
        let fits = |value: &Scalar| match operator {
            Operator::Prefix | Operator::Contains | Operator::Matches => matches!(value, Scalar::Text(_)),
            Operator::Greater | Operator::Less => matches!(value, Scalar::Integer(_) | Scalar::Float(_)),
            Operator::Equals | Operator::Exists => true,
        };
        if !values.iter().all(fits) {
            return Err(Refusal::at(
                at,
                "`prefix`, `contains` and `matches` compare texts, `greater` and `less` compare numbers",
            ));
        }
        let values = values.into_iter().map(Value::from).collect();
        Ok(types::Condition { path: self.path, operator, values, negated: self.not })
    }
}

impl<'de> Deserialize<'de> for All {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrAll;
        impl<'de> Visitor<'de> for OneOrAll {
            type Value = All;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a condition, or a list of conditions")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<All, A::Error> {
                Written::deserialize(MapAccessDeserializer::new(map)).map(|condition| All(vec![condition]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<All, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(All)
            }
        }
        deserializer.deserialize_any(OneOrAll)
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Values;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a value, or a list of values")
            }
            fn visit_str<E>(self, text: &str) -> Result<Values, E> {
                Ok(Values(vec![Scalar::Text(text.to_owned())]))
            }
            fn visit_bool<E>(self, boolean: bool) -> Result<Values, E> {
                Ok(Values(vec![Scalar::Boolean(boolean)]))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Values, E> {
                Ok(Values(vec![Scalar::Integer(number)]))
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Values, E> {
                let number = i64::try_from(number)
                    .map_err(|_| E::custom("the number is greater than a signed 64-bit integer"))?;
                self.visit_i64(number)
            }
            fn visit_f64<E>(self, number: f64) -> Result<Values, E> {
                Ok(Values(vec![Scalar::Float(number)]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Values, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Values)
            }
        }
        deserializer.deserialize_any(OneOrMany)
    }
}
