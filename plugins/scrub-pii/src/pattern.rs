//! A regular expression of the user's own.
//!
//! The `regex` crate's own search for literals is left out: half of the plugin's code would be what it brings, and each swap would
//! compile it. What most expressions gain from it, a look for the text that a match has to hold, is here.

use memchr::memmem::Finder;
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::literal::{ExtractKind, Extractor};

use crate::action::Action;

/// More literals than these are not worth looking for one by one.
const MOST_LITERALS: usize = 8;

/// An expression, and what becomes of what it finds.
pub struct Pattern {
    /// Under which it is counted.
    pub name: String,
    /// What becomes of what it finds.
    pub action: Action,
    regex: Regex,
    /// One of them is in every match; empty where that is not known.
    literals: Vec<Finder<'static>>,
}

impl Pattern {
    /// Compiles it. The error is for the user.
    pub fn new(name: &str, regex: &str, action: Action) -> Result<Self, String> {
        let compiled = RegexBuilder::new(regex).size_limit(1 << 20).build().map_err(|error| error.to_string())?;
        if compiled.is_match(b"") {
            return Err("matches the empty text, and would so match everywhere".to_owned());
        }
        Ok(Self { name: name.to_owned(), action, literals: literals(regex), regex: compiled })
    }

    /// As the user wrote it.
    pub fn as_str(&self) -> &str {
        self.regex.as_str()
    }

    /// Where it matches, from left to right.
    pub fn find<'t>(&'t self, text: &'t [u8]) -> impl Iterator<Item = (usize, usize)> + 't {
        let may_match = self.literals.is_empty() || self.literals.iter().any(|literal| literal.find(text).is_some());
        let matches = may_match.then(|| self.regex.find_iter(text));
        let found = matches.into_iter().flatten();
        found.filter(|found| !found.is_empty()).map(|found| (found.start(), found.end()))
    }
}

/// Texts with one of which every match begins, or, if those say less, ends.
fn literals(regex: &str) -> Vec<Finder<'static>> {
    let Ok(expression) = ParserBuilder::new().utf8(false).build().parse(regex) else { return Vec::new() };
    let of = |kind| {
        let found = Extractor::new().kind(kind).limit_total(MOST_LITERALS).extract(&expression);
        let literals = found.literals().unwrap_or_default();
        let shortest = literals.iter().map(|literal| literal.as_bytes().len()).min().unwrap_or(0);
        (shortest, literals.iter().map(|literal| Finder::new(literal.as_bytes()).into_owned()).collect())
    };
    let (prefix, suffix): ((usize, Vec<_>), (usize, Vec<_>)) = (of(ExtractKind::Prefix), of(ExtractKind::Suffix));
    let (shortest, literals) = if suffix.0 > prefix.0 { suffix } else { prefix };
    if shortest == 0 { Vec::new() } else { literals }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(regex: &str) -> Pattern {
        Pattern::new("own", regex, Action::Redact).unwrap_or_else(|error| panic!("{regex}: {error}"))
    }

    #[test]
    fn what_every_match_holds_is_known_where_it_can_be() {
        let known = |regex| of(regex).literals.iter().map(|literal| literal.needle().to_vec()).collect::<Vec<_>>();
        assert_eq!(known(r"E-\d{6}"), [b"E-"]);
        assert_eq!(known(r"\d+-employee"), [b"-employee"]);
        assert_eq!(known("(cat|dog)s"), [b"cats", b"dogs"]);
        assert_eq!(known(r"\d+"), [b""; 0]);
        assert_eq!(known(r"(E-)?\d{6}"), [b""; 0]);
    }

    #[test]
    fn finds_what_the_expression_alone_finds() {
        let texts =
            ["", "E-123456", "no E-12", "x E-123456 E-654321", "DOG cats dogs", "7-employee", "ß E-123456\u{7f}"];
        let expressions =
            [r"E-\d{6}", "(?i)dog", "cat|dog", r"\d+-employee", r"\bE-\d+\b", "(?s).+", r"^E", "ß", r"(?-u)\xc3", "s$"];
        for expression in expressions {
            let (pattern, alone) = (of(expression), Regex::new(expression).expect("an expression"));
            for text in texts {
                let found: Vec<_> = pattern.find(text.as_bytes()).collect();
                let all = alone.find_iter(text.as_bytes()).filter(|found| !found.is_empty());
                let expected: Vec<_> = all.map(|found| (found.start(), found.end())).collect();
                assert_eq!(found, expected, "{expression} in {text:?}");
            }
        }
    }

    #[test]
    fn what_would_match_everywhere_is_refused() {
        assert!(Pattern::new("own", "x*", Action::Redact).is_err());
        assert!(Pattern::new("own", "(", Action::Redact).is_err());
    }
}
