//! The plugin's settings.

use std::collections::BTreeMap;

use serde::Deserialize;
use tracemill_sdk::pattern::Pattern;
use tracemill_sdk::settings::Scalar;

/// What to change, in the order in which it is done.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether attribute names of old semantic conventions become the current ones. Default: false.
    pub semantic_conventions: bool,
    /// Attributes to rename.
    pub rename: Vec<FromTo>,
    /// Attributes to copy.
    pub copy: Vec<FromTo>,
    /// Resource attributes to set on every span.
    pub resource: BTreeMap<String, Scalar>,
    /// Span attributes to set on every span.
    pub attributes: BTreeMap<String, Scalar>,
    /// Attributes to set by service.
    pub services: Vec<ServiceRule>,
    /// Attributes to set by what lookup tables have.
    pub lookups: Vec<LookupRule>,
    /// Whether set values replace those that are there. Default: true.
    pub overwrite: bool,
    /// Attributes to remove, after all that.
    pub remove: Vec<String>,
    /// Whether ids in span names become `{id}`. Default: false.
    pub span_names: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            semantic_conventions: false,
            rename: Vec::new(),
            copy: Vec::new(),
            resource: BTreeMap::new(),
            attributes: BTreeMap::new(),
            services: Vec::new(),
            lookups: Vec::new(),
            overwrite: true,
            remove: Vec::new(),
            span_names: false,
        }
    }
}

impl Settings {
    /// True if nothing would be changed.
    pub(crate) fn is_empty(&self) -> bool {
        !self.semantic_conventions
            && !self.span_names
            && self.rename.is_empty()
            && self.copy.is_empty()
            && self.resource.is_empty()
            && self.attributes.is_empty()
            && self.services.is_empty()
            && self.lookups.is_empty()
            && self.remove.is_empty()
    }
}

/// From one place to another: keys of span attributes, or paths such as `resource.attributes["region"]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FromTo {
    /// Where the value is.
    pub from: String,
    /// Where it goes.
    pub to: String,
    /// Whether a value that is there already is replaced. Default: false.
    #[serde(default)]
    pub overwrite: bool,
}

/// Attributes of the services that a pattern fits.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceRule {
    /// A pattern of the resource's `service.name`; `*` stands for any text.
    pub service: Pattern,
    /// Resource attributes to set.
    #[serde(default)]
    pub resource: BTreeMap<String, Scalar>,
    /// Span attributes to set.
    #[serde(default)]
    pub attributes: BTreeMap<String, Scalar>,
}

/// Attributes by what a lookup table has under a key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupRule {
    /// The table, by its name in the host's configuration.
    pub table: String,
    /// Where the key is: the key of a span attribute, or a path such as `resource.attributes["service.name"]`.
    pub key: String,
    /// What is set: the key of a span attribute or a path, and the table's field that goes there.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
}
