//! Patterns with `*`, turned into the cheapest conditions that say the same.

use tracemill_sdk::prelude::*;

/// Patterns by how they are judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patterns {
    exact: Vec<String>,
    prefixes: Vec<String>,
    parts: Vec<String>,
    expressions: Vec<String>,
}

impl Patterns {
    /// Sorts patterns: without `*` exact, with one at the end a prefix, with one at each end a part, else an expression.
    pub fn of(patterns: &[String]) -> Self {
        let mut sorted = Self::default();
        for pattern in patterns {
            let stars = pattern.matches('*').count();
            match (pattern.strip_prefix('*'), pattern.strip_suffix('*'), stars) {
                (_, _, 0) => sorted.exact.push(pattern.clone()),
                (_, Some(prefix), 1) => sorted.prefixes.push(prefix.to_owned()),
                (Some(rest), Some(_), 2) => sorted.parts.push(rest.trim_end_matches('*').to_owned()),
                _ => sorted.expressions.push(expression(pattern)),
            }
        }
        sorted
    }

    /// The same, where an exact `/health` stands for `/health/` too.
    pub fn with_slash(mut self) -> Self {
        let with_slash: Vec<_> =
            self.exact.iter().filter(|path| !path.ends_with('/')).map(|path| format!("{path}/")).collect();
        self.exact.extend(with_slash);
        self
    }

    /// The same, followed by a query or not.
    pub fn with_query(&self) -> Self {
        let mut with_query = self.clone();
        with_query.prefixes.extend(self.exact.iter().map(|path| format!("{path}?")));
        with_query
    }

    /// The exact ones as what begins a name: `grpc.health.v1.Health` begins `grpc.health.v1.Health/Check`.
    pub fn as_name_prefixes(&self) -> Self {
        let prefixes = self.exact.iter().flat_map(|service| [format!("{service}/"), format!("/{service}/")]);
        Self { prefixes: prefixes.collect(), ..Self::default() }
    }

    /// An expression that finds them as the path of a URL.
    pub fn as_url_expression(&self) -> Option<String> {
        let exact = self.exact.iter().map(|path| format!("{}(?:[?#]|$)", quoted(path)));
        let prefixes = self.prefixes.iter().map(|prefix| quoted(prefix));
        let paths: Vec<_> = exact.chain(prefixes).collect();
        (!paths.is_empty()).then(|| format!("^[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#]*(?:{})", paths.join("|")))
    }

    /// Conditions on a path, any of which suffices.
    pub fn on(&self, path: &str) -> Vec<Condition> {
        let mut conditions = Vec::new();
        if !self.exact.is_empty() {
            conditions.push(when(path).equals_any(&self.exact));
        }
        if !self.prefixes.is_empty() {
            conditions.push(when(path).prefix_any(&self.prefixes));
        }
        if !self.parts.is_empty() {
            conditions.push(when(path).contains_any(&self.parts));
        }
        if !self.expressions.is_empty() {
            conditions.push(when(path).matches_any(&self.expressions));
        }
        conditions
    }
}

/// A pattern as an anchored regular expression.
fn expression(pattern: &str) -> String {
    let parts: Vec<_> = pattern.split('*').map(quoted).collect();
    format!("^{}$", parts.join(".*"))
}

/// A text as a regular expression that matches nothing else.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 4);
    for character in text.chars() {
        if r"\.+*?()|[]{}^$#&-~".contains(character) {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(patterns: &[&str]) -> Patterns {
        Patterns::of(&patterns.iter().map(|&pattern| pattern.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn patterns_become_the_cheapest_conditions() {
        let sorted = patterns(&["/a", "/b*", "*c*", "*.d", "/e*f*"]);
        assert_eq!(sorted.exact, ["/a"]);
        assert_eq!(sorted.prefixes, ["/b"]);
        assert_eq!(sorted.parts, ["c"]);
        assert_eq!(sorted.expressions, [r"^.*\.d$", "^/e.*f.*$"]);
        assert_eq!(sorted.on("name").len(), 4);
        assert!(Patterns::default().on("name").is_empty());
    }

    #[test]
    fn slashes_and_queries_belong_to_the_path() {
        let paths = patterns(&["/health"]).with_slash();
        assert_eq!(paths.exact, ["/health", "/health/"]);
        assert_eq!(paths.with_query().prefixes, ["/health?", "/health/?"]);
        assert_eq!(Patterns::default().as_url_expression(), None);
    }
}
