//! One condition, compiled: what it asks of a value.

use memchr::memmem::Finder;
use regex::bytes::{Regex, RegexBuilder};

use super::{ConditionFault, Operator};
use crate::edit::Constant;
use crate::value::Value;

/// How large a compiled regular expression may become. The default of the `regex` crate is ten times that, too much
/// for something that a plugin brings along.
const REGEX_SIZE: usize = 1 << 20;
/// From how many texts on a set is looked up instead of a list.
const MANY_TEXTS: usize = 8;

/// What a condition asks of a value.
#[derive(Debug, Clone)]
pub(super) enum Test {
    /// That there is one.
    Exists,
    /// One of these texts.
    Texts(Vec<Box<[u8]>>),
    /// One of these many texts.
    TextSet(hashbrown::HashSet<Box<[u8]>, foldhash::fast::RandomState>),
    /// A text that begins with one of these.
    Prefixes(Vec<Box<[u8]>>),
    /// A text in which one of these stands.
    Parts(Vec<Finder<'static>>),
    /// A text that one of these matches.
    Patterns(Vec<Regex>),
    /// Another comparison with each of the constants, in turn.
    Other(Operator, Vec<Constant>),
}

impl Test {
    /// Compiles a condition's operator and values.
    pub(super) fn new(operator: Operator, values: &[Constant]) -> Result<Self, ConditionFault> {
        match (operator, values.is_empty()) {
            (Operator::Exists, true) => return Ok(Self::Exists),
            (Operator::Exists, false) => return Err(ConditionFault::ValuesForExists),
            (_, true) => return Err(ConditionFault::NoValues),
            _ => {}
        }
        let Some(texts) = texts(values) else {
            return match operator {
                Operator::Prefix | Operator::Contains | Operator::Matches => Err(ConditionFault::NotText(operator)),
                _ => check_numbers(operator, values).map(|()| Self::Other(operator, values.to_vec())),
            };
        };
        let owned = || texts.iter().map(|text| text.as_bytes().into());
        Ok(match operator {
            Operator::Equals if texts.len() >= MANY_TEXTS => Self::TextSet(owned().collect()),
            Operator::Equals => Self::Texts(owned().collect()),
            Operator::Prefix => Self::Prefixes(owned().collect()),
            Operator::Contains => Self::Parts(texts.iter().map(|text| Finder::new(text).into_owned()).collect()),
            Operator::Matches => Self::Patterns(texts.iter().map(|text| pattern(text)).collect::<Result<_, _>>()?),
            Operator::Greater | Operator::Less => return Err(ConditionFault::NotNumber(operator)),
            Operator::Exists => Self::Exists,
        })
    }

    /// Whether a value passes.
    #[inline]
    pub(super) fn passes(&self, value: Value<'_>) -> bool {
        match (self, value) {
            (Self::Exists, _) => true,
            (Self::Texts(texts), Value::Text(text)) => texts.iter().any(|wanted| **wanted == *text),
            (Self::TextSet(texts), Value::Text(text)) => texts.contains(text),
            (Self::Prefixes(texts), Value::Text(text)) => texts.iter().any(|wanted| text.starts_with(wanted)),
            (Self::Parts(parts), Value::Text(text)) => parts.iter().any(|part| part.find(text).is_some()),
            (Self::Patterns(patterns), Value::Text(text)) => patterns.iter().any(|pattern| pattern.is_match(text)),
            (Self::Other(operator, constants), value) => {
                constants.iter().any(|constant| compares(*operator, value, constant))
            }
            _ => false,
        }
    }
}

impl Test {
    /// Whether a text that passes also does within any other bytes, so that a span can be judged by its bytes as they came:
    /// where those do not pass, no text in them does.
    pub(super) fn ignores_surroundings(&self) -> bool {
        match self {
            Self::Parts(_) => true,
            Self::Patterns(patterns) => patterns.iter().all(|pattern| looks_at_nothing_else(pattern.as_str())),
            _ => false,
        }
    }
}

/// Whether an expression has no anchors and no borders of words.
fn looks_at_nothing_else(pattern: &str) -> bool {
    let parsed = regex_syntax::ParserBuilder::new().utf8(false).build().parse(pattern);
    parsed.is_ok_and(|expression| expression.properties().look_set().is_empty())
}

/// The values, if all are texts.
fn texts(values: &[Constant]) -> Option<Vec<&str>> {
    values.iter().map(|value| if let Constant::Text(text) = value { Some(text.as_str()) } else { None }).collect()
}

fn check_numbers(operator: Operator, values: &[Constant]) -> Result<(), ConditionFault> {
    let number = |value: &Constant| matches!(value, Constant::Integer(_) | Constant::Float(_));
    if matches!(operator, Operator::Greater | Operator::Less) && !values.iter().all(number) {
        return Err(ConditionFault::NotNumber(operator));
    }
    Ok(())
}

fn pattern(text: &str) -> Result<Regex, ConditionFault> {
    let built = RegexBuilder::new(text).size_limit(REGEX_SIZE).dfa_size_limit(REGEX_SIZE).build();
    built.map_err(|error| ConditionFault::Pattern { pattern: text.to_owned(), reason: error.to_string() })
}

/// Compares a value with a constant of the same type; another type never passes.
fn compares(operator: Operator, value: Value<'_>, constant: &Constant) -> bool {
    match (operator, value, constant) {
        (Operator::Equals, Value::Text(a), Constant::Text(b)) => a == b.as_bytes(),
        (Operator::Equals, Value::Bytes(a), Constant::Bytes(b)) => a == &b[..],
        (Operator::Equals, Value::Boolean(a), Constant::Boolean(b)) => a == *b,
        (Operator::Equals, Value::Integer(a), Constant::Integer(b)) => a == *b,
        #[expect(clippy::float_cmp, reason = "equals means equal")]
        (Operator::Equals, Value::Float(a), Constant::Float(b)) => a == *b,
        (Operator::Greater, Value::Integer(a), Constant::Integer(b)) => a > *b,
        (Operator::Greater, Value::Float(a), Constant::Float(b)) => a > *b,
        (Operator::Less, Value::Integer(a), Constant::Integer(b)) => a < *b,
        (Operator::Less, Value::Float(a), Constant::Float(b)) => a < *b,
        _ => false,
    }
}
