//! The spelling of paths: text to path and back, and the nearest path to one that does not exist.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::{Layout, Path};

/// Every path without a key.
pub(super) static PLAIN: [Path; 31] = [
    Path::TraceId,
    Path::SpanId,
    Path::ParentSpanId,
    Path::TraceState,
    Path::Name,
    Path::Kind,
    Path::StatusCode,
    Path::StatusMessage,
    Path::Flags,
    Path::StartTime,
    Path::EndTime,
    Path::Duration,
    Path::ResourceSchemaUrl,
    Path::ScopeName,
    Path::ScopeVersion,
    Path::ScopeSchemaUrl,
    Path::DroppedAttributesCount,
    Path::DroppedEventsCount,
    Path::DroppedLinksCount,
    Path::RequestTenant,
    Path::RequestPeer,
    Path::Attributes,
    Path::ResourceAttributes,
    Path::ScopeAttributes,
    Path::Events,
    Path::Links,
    Path::EventName,
    Path::Resource,
    Path::Scope,
    Path::Values,
    Path::Strings,
];

/// How a path with a key is made from the key.
type Make = fn(Arc<str>) -> Path;

/// Every path with a key, by what stands before the key.
pub(super) const KEYED: [(&str, Make); 6] = [
    ("attributes", Path::Attribute),
    ("resource.attributes", Path::ResourceAttribute),
    ("scope.attributes", Path::ScopeAttribute),
    ("events.attributes", Path::EventAttribute),
    ("links.attributes", Path::LinkAttribute),
    ("request.header", |name| Path::RequestHeader(name.to_ascii_lowercase().into())),
];

/// How many bytes a path may have: whoever names one may be hostile, and what is read is kept.
pub const LONGEST: usize = 4096;
/// How much of a text that is no path is repeated, and compared with those that there are.
const REPEATED: usize = 200;

/// A text that is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// There is none like it.
    #[error("there is no path `{text}`; the nearest is `{nearest}`")]
    Unknown {
        /// What was written, as far as it is worth repeating.
        text: String,
        /// The valid path that is nearest to that.
        nearest: String,
    },
    /// Whatever it is, it is too long.
    #[error("a path may have {LONGEST} bytes, and `{begins}…` has {bytes}")]
    TooLong {
        /// How it begins.
        begins: String,
        /// How many it has.
        bytes: usize,
    },
}

/// A layout that a path cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` cannot be laid out as {layout}, only as {}{}", possible(path), hint(path))]
pub struct WantError {
    /// Of what.
    pub path: Path,
    /// What it cannot have.
    pub layout: Layout,
}

impl WantError {
    pub(super) fn new(path: Path, layout: Layout) -> Self {
        Self { path, layout }
    }
}

fn possible(path: &Path) -> String {
    path.layouts().iter().map(|layout| layout.name()).collect::<Vec<_>>().join(", ")
}

/// The path that was perhaps meant, where one for a single place exists.
fn hint(path: &Path) -> String {
    match path {
        Path::Attributes | Path::ResourceAttributes | Path::ScopeAttributes => {
            format!("; a single value is `{path}[\"KEY\"]`")
        }
        _ => String::new(),
    }
}

impl Path {
    /// The path as far as its key, and the key.
    pub(super) fn parts(&self) -> (&'static str, Option<&str>) {
        let plain = match self {
            Self::TraceId => "trace_id",
            Self::SpanId => "span_id",
            Self::ParentSpanId => "parent_span_id",
            Self::TraceState => "trace_state",
            Self::Name => "name",
            Self::Kind => "kind",
            Self::StatusCode => "status.code",
            Self::StatusMessage => "status.message",
            Self::Flags => "flags",
            Self::StartTime => "start_time_unix_nano",
            Self::EndTime => "end_time_unix_nano",
            Self::Duration => "duration",
            Self::Attribute(key) => return ("attributes", Some(key)),
            Self::ResourceAttribute(key) => return ("resource.attributes", Some(key)),
            Self::ScopeAttribute(key) => return ("scope.attributes", Some(key)),
            Self::ResourceSchemaUrl => "resource.schema_url",
            Self::ScopeName => "scope.name",
            Self::ScopeVersion => "scope.version",
            Self::ScopeSchemaUrl => "scope.schema_url",
            Self::DroppedAttributesCount => "dropped_attributes_count",
            Self::DroppedEventsCount => "dropped_events_count",
            Self::DroppedLinksCount => "dropped_links_count",
            Self::RequestTenant => "request.tenant",
            Self::RequestPeer => "request.peer",
            Self::RequestHeader(name) => return ("request.header", Some(name)),
            Self::Attributes => "attributes",
            Self::ResourceAttributes => "resource.attributes",
            Self::ScopeAttributes => "scope.attributes",
            Self::Events => "events",
            Self::Links => "links",
            Self::EventName => "events.name",
            Self::EventAttribute(key) => return ("events.attributes", Some(key)),
            Self::LinkAttribute(key) => return ("links.attributes", Some(key)),
            Self::Resource => "resource",
            Self::Scope => "scope",
            Self::Values => "values",
            Self::Strings => "strings",
        };
        (plain, None)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (head, key) = self.parts();
        f.write_str(head)?;
        if let Some(key) = key { put_key(f, key) } else { Ok(()) }
    }
}

/// Writes `["KEY"]`, quotes and backslashes escaped.
pub(crate) fn put_key(out: &mut impl fmt::Write, key: &str) -> fmt::Result {
    out.write_str("[\"")?;
    for piece in key.split_inclusive(['"', '\\']) {
        match piece.as_bytes().last() {
            Some(&last @ (b'"' | b'\\')) => {
                out.write_str(&piece[..piece.len() - 1])?;
                out.write_char('\\')?;
                out.write_char(last as char)?;
            }
            _ => out.write_str(piece)?,
        }
    }
    out.write_str("\"]")
}

impl FromStr for Path {
    type Err = PathError;

    /// Reads a path. Case and spaces matter.
    fn from_str(text: &str) -> Result<Self, PathError> {
        let begins = || text[..text.floor_char_boundary(REPEATED)].to_owned();
        if text.len() > LONGEST {
            return Err(PathError::TooLong { begins: begins(), bytes: text.len() });
        }
        exact(text).ok_or_else(|| {
            let text = begins();
            PathError::Unknown { nearest: nearest(&text), text }
        })
    }
}

fn exact(text: &str) -> Option<Path> {
    if let Some((head, rest)) = text.split_once('[') {
        let (_, make) = KEYED.iter().find(|(name, _)| *name == head)?;
        return Some(make(key(rest)?.into()));
    }
    PLAIN.iter().find(|path| path.parts().0 == text).cloned()
}

/// Reads `"KEY"]`.
fn key(rest: &str) -> Option<String> {
    let inner = rest.strip_prefix('"')?.strip_suffix("\"]")?;
    let mut key = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return None,
            '\\' => match chars.next()? {
                escaped @ ('"' | '\\') => key.push(escaped),
                _ => return None,
            },
            _ => key.push(c),
        }
    }
    Some(key)
}

/// The valid path that is spelled most like `text`, its key kept where it has one.
fn nearest(text: &str) -> String {
    let text = text.trim();
    let text = text.strip_prefix("span.").unwrap_or(text);
    if let Some(path) = exact(text) {
        return path.to_string();
    }
    // What stands in brackets, however it is quoted, or behind `attributes.`, is a key.
    let loose = text
        .split_once('[')
        .map(|(head, rest)| (head, rest.trim_matches(|c: char| matches!(c, ']' | '[' | '"' | '\'' | ' ' | '\\'))));
    let dotted = || {
        let (head, key) = KEYED.iter().rev().find_map(|(name, _)| Some((*name, text.strip_prefix(name)?)))?;
        Some((head, key.strip_prefix('.')?))
    };
    if let Some((head, key)) = loose.or_else(dotted).filter(|(_, key)| !key.is_empty()) {
        let head = head.trim().to_ascii_lowercase();
        let (_, make) = closest(&head, &KEYED, |(name, _)| name);
        return make(key.into()).to_string();
    }
    closest(&text.to_ascii_lowercase(), &PLAIN, |path| path.parts().0).to_string()
}

/// Likeness counts from the beginning, so that a path that was cut short is found.
fn closest<'a, T>(text: &str, among: &'a [T], name: impl Fn(&T) -> &'static str) -> &'a T {
    let likeness = |candidate: &T| strsim::jaro_winkler(text, name(candidate));
    among.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b))).expect("the lists of paths are not empty")
}
