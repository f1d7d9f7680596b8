//! Places: what is special about where a text stands. Judged once for each distinct place.

use crate::settings::Settings;

/// What is special about a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one place")]
pub struct Place {
    /// Its whole value is personal.
    pub listed: bool,
    /// It is left alone.
    pub allowed: bool,
    /// It holds SQL.
    pub sql: bool,
    /// It holds a query string, and whether nothing else stands before it.
    pub query: Option<bool>,
    /// It holds versions, which look like addresses.
    pub version: bool,
}

/// The lists of keys.
#[derive(Debug, Clone)]
pub struct Places {
    listed: Keys,
    allowed: Keys,
    sql: Keys,
    query: Keys,
}

#[derive(Debug, Clone)]
struct Keys {
    exact: Vec<String>,
    prefixes: Vec<String>,
}

impl Keys {
    fn new(keys: &[String]) -> Self {
        let (prefixes, exact): (Vec<_>, Vec<_>) = keys.iter().partition(|key| key.ends_with('*'));
        let prefixes = prefixes.into_iter().map(|key| key.trim_end_matches('*').to_owned()).collect();
        Self { exact: exact.into_iter().cloned().collect(), prefixes }
    }

    fn has(&self, key: &str) -> bool {
        self.exact.iter().any(|known| known == key)
            || self.prefixes.iter().any(|prefix| key.starts_with(prefix.as_str()))
    }
}

impl Places {
    /// From the settings' lists.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            listed: Keys::new(&settings.keys),
            allowed: Keys::new(&settings.allow_keys),
            sql: Keys::new(&settings.sql_keys),
            query: Keys::new(&settings.query_keys),
        }
    }

    /// Whether there are keys whose values are personal.
    #[must_use]
    pub fn lists_any(&self) -> bool {
        !self.listed.exact.is_empty() || !self.listed.prefixes.is_empty()
    }

    /// What is special about a place, as the contract spells it: `attributes["enduser.id"]`, `events.attributes["a"]["b"]`, `name`.
    #[must_use]
    pub fn judge(&self, place: &str) -> Place {
        let Some(keys) = keys(place) else {
            let version = matches!(place, "scope.version" | "resource.schema_url" | "scope.schema_url");
            return Place { version, ..Place::default() };
        };
        let mut judged = Place::default();
        // A list that names a map means all that is in it.
        for key in &keys {
            judged.listed |= self.listed.has(key);
            judged.allowed |= self.allowed.has(key);
        }
        let last = keys.last().map_or("", |key| key.as_str());
        judged.sql = self.sql.has(last);
        judged.query = self.query.has(last).then(|| last.ends_with("query"));
        judged.version = last.ends_with("version") || last.starts_with("telemetry.sdk.");
        judged
    }
}

/// The keys of a place of an attribute, outermost first.
fn keys(place: &str) -> Option<Vec<String>> {
    let mut rest = &place[place.find("attributes[\"")? + "attributes".len()..];
    let mut keys = Vec::new();
    while let Some(inner) = rest.strip_prefix("[\"") {
        let mut key = String::new();
        let mut chars = inner.char_indices();
        let end = loop {
            match chars.next()? {
                (_, '\\') => key.push(chars.next()?.1),
                (at, '"') => break at,
                (_, other) => key.push(other),
            }
        };
        keys.push(key);
        rest = inner[end + 1..].strip_prefix(']')?;
    }
    Some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_out_of_places() {
        assert_eq!(keys("name"), None);
        assert_eq!(keys(r#"attributes["a.b"]"#).unwrap(), ["a.b"]);
        assert_eq!(keys(r#"events.attributes["a\"b"]["c\\"]"#).unwrap(), ["a\"b", "c\\"]);
    }

    #[test]
    fn lists_match_exactly_or_by_prefix_and_reach_into_maps() {
        let places = Places::new(&Settings::default());
        assert!(places.judge(r#"attributes["enduser.id"]"#).listed);
        assert!(places.judge(r#"resource.attributes["enduser.scope"]["x"]"#).listed);
        assert!(!places.judge(r#"attributes["enduser"]"#).listed);
        assert!(places.judge(r#"attributes["db.query.text"]"#).sql);
        assert_eq!(places.judge(r#"attributes["url.query"]"#).query, Some(true));
        assert_eq!(places.judge(r#"attributes["url.full"]"#).query, Some(false));
        assert!(places.judge(r#"resource.attributes["service.version"]"#).version);
        assert!(places.judge("scope.version").version);
    }
}
