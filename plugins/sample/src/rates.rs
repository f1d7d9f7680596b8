//! Rates: shares of traces, as probabilities.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer};

/// A share of traces: `0.1` or `"10%"`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// From 0 to 1.
    pub probability: f64,
}

impl Default for Rate {
    fn default() -> Self {
        Self { probability: 1.0 }
    }
}

impl Rate {
    /// The share in percent, with the precision that the Collector keeps.
    pub fn percent(self) -> f32 {
        (self.probability * 100.0) as f32
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

struct Written;

impl de::Visitor<'_> for Written {
    type Value = Rate;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a share from 0 to 1, or a percentage such as \"10%\"")
    }

    fn visit_f64<E: de::Error>(self, probability: f64) -> Result<Rate, E> {
        if (0.0..=1.0).contains(&probability) {
            Ok(Rate { probability })
        } else {
            Err(E::invalid_value(de::Unexpected::Float(probability), &self))
        }
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Rate, E> {
        self.visit_f64(number as f64)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Rate, E> {
        self.visit_f64(number as f64)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Rate, E> {
        let percent = text.trim().strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
        match percent {
            Some(percent) if (0.0..=100.0).contains(&percent) => Ok(Rate { probability: percent / 100.0 }),
            _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }
}
