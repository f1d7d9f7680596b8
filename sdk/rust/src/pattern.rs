//! Patterns as operators write them in settings: texts in which `*` stands for any text.

use serde::{Deserialize, Deserializer};

use crate::layout::Str;

/// A pattern such as `/users/*`, `*.internal` or `checkout`. Without `*` it matches nothing but itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// What stands between the stars; one part more than stars.
    parts: Vec<String>,
}

impl Pattern {
    /// Reads a pattern.
    pub fn new(pattern: &str) -> Self {
        Self { parts: pattern.split('*').map(str::to_owned).collect() }
    }

    /// True if the text matches as a whole.
    pub fn matches(&self, text: Str<'_>) -> bool {
        let text = text.as_bytes();
        let (first, last) = (self.parts[0].as_bytes(), self.parts[self.parts.len() - 1].as_bytes());
        if self.parts.len() == 1 {
            return text == first;
        }
        if text.len() < first.len() + last.len() || !text.starts_with(first) || !text.ends_with(last) {
            return false;
        }
        let mut rest = &text[first.len()..text.len() - last.len()];
        for part in &self.parts[1..self.parts.len() - 1] {
            match find(rest, part.as_bytes()) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        true
    }
}

/// Where `part` first stands in `text`.
fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() { Some(0) } else { text.windows(part.len()).position(|window| window == part) }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|pattern| Self::new(&pattern))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        let matches = |pattern: &str, text: &str| Pattern::new(pattern).matches(Str::from(text));
        for (pattern, text) in [
            ("", ""),
            ("a", "a"),
            ("*", ""),
            ("*", "abc"),
            ("a*", "a"),
            ("*c", "abc"),
            ("a*c", "abbc"),
            ("*b*", "abc"),
            ("a*b*c*d", "a-b-c-c-d"),
            ("a**b", "ab"),
        ] {
            assert!(matches(pattern, text), "{pattern} should match {text}");
        }
        for (pattern, text) in [("", "a"), ("a", "ab"), ("a*a", "a"), ("*b", "abc"), ("a*x*c", "abc"), ("ab*ba", "aba")]
        {
            assert!(!matches(pattern, text), "{pattern} should not match {text}");
        }
    }
}
