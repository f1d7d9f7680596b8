//! Settings: JSON to a plugin's own type, with errors that name the key, and small types that settings often need.

mod tree;

use std::fmt;

use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer};

use crate::bindings::types::Value;
use crate::plugin::Refusal;

/// For plugins without settings: any key is refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

/// Parses settings. The error names the key that is wrong: `settings.rules[0].rate: expected ...`.
pub fn parse<T: DeserializeOwned>(json: &str) -> Result<T, Refusal> {
    let json = if json.trim().is_empty() { "{}" } else { json };
    let tree: serde_json::Value =
        serde_json::from_str(json).map_err(|error| Refusal::from(format!("settings: {error}")))?;
    T::deserialize(tree::Node(tree)).map_err(|error| Refusal::from(error.to_string()))
}

/// A single value in settings, whatever its type: a text, a number or a boolean.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// A text.
    Text(String),
    /// A boolean.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl de::Visitor<'_> for Written {
            type Value = Scalar;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text, a number or a boolean")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar::Text(text.to_owned()))
            }
            fn visit_bool<E: de::Error>(self, boolean: bool) -> Result<Scalar, E> {
                Ok(Scalar::Boolean(boolean))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar::Integer(number))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Scalar, E> {
                let number = i64::try_from(number);
                number.map(Scalar::Integer).map_err(|_| E::custom("the number is greater than a signed 64-bit integer"))
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Scalar, E> {
                Ok(Scalar::Float(number))
            }
        }
        deserializer.deserialize_any(Written)
    }
}

impl From<Scalar> for Value {
    fn from(scalar: Scalar) -> Self {
        match scalar {
            Scalar::Text(text) => Self::Text(text),
            Scalar::Boolean(boolean) => Self::Boolean(boolean),
            Scalar::Integer(integer) => Self::Integer(integer),
            Scalar::Float(float) => Self::Float(float),
        }
    }
}

/// A length of time in settings, with its unit: `250ms`, `2s`, `1.5m`, `1h`; also `ns` and `us`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration {
    /// The same in nanoseconds.
    pub nanoseconds: u64,
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl de::Visitor<'_> for Written {
            type Value = Duration;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a time with its unit, such as \"250ms\" or \"2s\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
                duration(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Written)
    }
}

fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let cut = text.find(|character: char| character.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(cut);
    let unit = match unit {
        "ns" => 1.0,
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3600e9,
        _ => return None,
    };
    let nanoseconds = number.trim().parse::<f64>().ok()? * unit;
    (nanoseconds >= 0.0 && nanoseconds.is_finite()).then_some(Duration { nanoseconds: nanoseconds as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Rule {
        #[serde(default)]
        rate: f64,
        slower: Option<Duration>,
    }
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    #[derive(Default)]
    struct Settings {
        rules: Vec<Rule>,
    }

    fn refusal(json: &str) -> String {
        parse::<Settings>(json).expect_err("these settings are wrong").to_string()
    }

    #[test]
    fn errors_name_the_key() {
        assert_eq!(
            refusal(r#"{"rules": [{"rate": 1}, {"rate": "x"}]}"#),
            "settings.rules[1].rate: expected f64, not the text \"x\""
        );
        assert_eq!(refusal(r#"{"rulez": []}"#), "settings.rulez: unknown field `rulez`, expected `rules`");
        assert!(refusal(r#"{"rules": [{"slower": "2"}]}"#).contains("a time with its unit"));
        assert!(refusal("{} {}").starts_with("settings: trailing characters"));
    }

    #[test]
    fn nothing_is_as_good_as_an_empty_object() {
        assert!(parse::<NoSettings>("").is_ok());
        assert!(parse::<NoSettings>("{}").is_ok());
        assert!(parse::<NoSettings>(r#"{"a": 1}"#).is_err());
    }

    #[test]
    fn durations_have_units() {
        let settings = parse::<Settings>(r#"{"rules": [{"slower": "250ms"}, {"slower": "1.5m"}]}"#).expect("valid");
        let nanoseconds: Vec<_> = settings.rules.iter().map(|rule| rule.slower.map(|time| time.nanoseconds)).collect();
        assert_eq!(nanoseconds, [Some(250_000_000), Some(90_000_000_000)]);
        assert!(settings.rules[0].rate.abs() < f64::EPSILON);
        assert_eq!(duration("-1s"), None);
        assert_eq!(duration("1d"), None);
    }
}
