//! Settings as they are written in the sidecar, with their defaults.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::action::Action;

/// All settings; every one may be left out.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What is done with what is found, unless a detector says otherwise.
    pub action: Action,
    /// For each detector: `true`, `false`, or an action of its own.
    pub detectors: Detectors,
    /// The key of the `hash` action.
    pub hash_key: String,
    /// The operator's own regular expressions.
    pub patterns: Vec<PatternSettings>,
    /// Attributes whose whole value is personal, whatever it looks like: keys, `*` at the end for all that begin so.
    pub keys: Vec<String>,
    /// What is done with them.
    pub keys_action: Action,
    /// Attributes that are left alone.
    pub allow_keys: Vec<String>,
    /// Attributes that hold SQL.
    pub sql_keys: Vec<String>,
    /// Attributes that hold a URL or a query string.
    pub query_keys: Vec<String>,
    /// Which values of a query string are hidden.
    pub query_values: QueryValues,
    /// Whether each span that was changed gets the attribute `tracemill.scrubbed` with the number of changes.
    pub note: bool,
}

/// Which values of a query string are hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueryValues {
    /// Those of parameters whose name says that they are personal or secret.
    Sensitive,
    /// All.
    All,
}

/// One regular expression.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatternSettings {
    /// What it finds; stands in replacements and counters.
    pub name: String,
    /// In the syntax of Rust's `regex`.
    pub regex: String,
    /// What is done with what it finds; the common action if left out.
    pub action: Option<Action>,
}

/// How one detector is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Switch {
    /// On with the common action, or off.
    On(bool),
    /// On with an action of its own.
    Action(Action),
}

/// The detectors by name.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Detectors(pub BTreeMap<String, Switch>);

impl Default for Settings {
    fn default() -> Self {
        let owned = |list: &[&str]| list.iter().map(|&item| item.to_owned()).collect();
        Self {
            action: Action::Redact,
            detectors: Detectors::default(),
            hash_key: String::new(),
            patterns: Vec::new(),
            keys: owned(&[
                "enduser.*",
                "user.email",
                "user.full_name",
                "http.request.header.authorization",
                "http.request.header.proxy-authorization",
                "http.request.header.proxy_authorization",
                "http.request.header.cookie",
                "http.request.header.x-api-key",
                "http.request.header.x_api_key",
                "http.response.header.set-cookie",
                "http.response.header.set_cookie",
            ]),
            keys_action: Action::Redact,
            allow_keys: Vec::new(),
            sql_keys: owned(&["db.statement", "db.query.text"]),
            query_keys: owned(&[
                "url.full",
                "url.query",
                "url.original",
                "http.url",
                "http.target",
                "http.request.header.referer",
            ]),
            query_values: QueryValues::Sensitive,
            note: false,
        }
    }
}
