//! Entries of the W3C trace state.
//!
//! A trace state that is malformed anywhere has no entry, as in the Collector, which reads it by the rules of the specification.

use std::collections::HashSet;

use tracemill_sdk::prelude::*;

/// Entries that a trace state may have.
const MOST_ENTRIES: usize = 32;
/// Bytes of a value.
const MOST_VALUE: usize = 256;

/// An entry with one of several values.
pub struct TraceStates {
    column: Column<Words>,
    key: String,
    values: HashSet<String>,
}

impl TraceStates {
    /// Declares the column.
    pub fn declare(key: &str, values: &[String], plan: &mut SamplerPlanBuilder) -> Self {
        // The Collector takes no value that would not stand in a trace state with its key.
        let values = values.iter().filter(|value| !value.is_empty() && key.len() + value.len() < MOST_VALUE);
        Self { column: plan.words("trace_state"), key: key.to_owned(), values: values.cloned().collect() }
    }

    /// Marks the rows that match.
    pub fn mark(&self, traces: &Traces<'_>, marks: &mut Mask) {
        let has = |state: Str<'_>| {
            let value = state.to_str().and_then(|state| entry(state, &self.key));
            value.is_some_and(|value| self.values.contains(value))
        };
        traces.read(self.column).mark_where(has, marks);
    }
}

/// The value of an entry; none where the trace state is malformed.
fn entry<'s>(state: &'s str, key: &str) -> Option<&'s str> {
    let mut known: Vec<(&str, &str)> = Vec::new();
    for member in state.split(',').filter(|member| !member.is_empty()) {
        let (name, value) = member.split_once('=')?;
        let (name, value) = (name.trim_start_matches([' ', '\t']), value.trim_end_matches([' ', '\t']));
        let is_new = known.iter().all(|(other, _)| *other != name);
        if !is_key(name) || !is_value(value) || !is_new || known.len() == MOST_ENTRIES {
            return None;
        }
        known.push((name, value));
    }
    known.into_iter().find(|(name, _)| *name == key).map(|(_, value)| value)
}

fn is_key(key: &str) -> bool {
    let rest = |text: &str, most: usize| {
        text.len() <= most
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/'))
    };
    let simple =
        |text: &str, most| text.starts_with(|first: char| first.is_ascii_lowercase()) && rest(&text[1..], most);
    match key.split_once('@') {
        None => simple(key, 255),
        Some((tenant, system)) => {
            let first = |first: char| first.is_ascii_lowercase() || first.is_ascii_digit();
            tenant.starts_with(first) && rest(&tenant[1..], 240) && simple(system, 13)
        }
    }
}

fn is_value(value: &str) -> bool {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b',' && byte != b'=';
    (1..=MOST_VALUE).contains(&value.len()) && value.bytes().all(is_plain) && !value.ends_with(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_in_states_that_are_well_formed() {
        let many = |count: usize| (0..count).map(|index| format!("a{index}=x")).collect::<Vec<_>>().join(",");
        let table = [
            ("k=v", Some("v")),
            ("a=b, k=v ,c=d", Some("v")),
            (",k=v,,", Some("v")),
            ("k=a b", Some("a b")),
            ("", None),
            ("a=b", None),
            ("k=", None),
            ("k", None),
            ("k=v,K=v", None),
            ("k=v,k=w", None),
            ("k=v,1x=y", None),
            ("k=v,1x@sys=y", Some("v")),
            ("k=v,x@1=y", None),
            ("k=v=w", None),
            ("k=ü", None),
        ];
        for (state, expected) in table {
            assert_eq!(entry(state, "k"), expected, "{state:?}");
        }
        assert_eq!(entry(&many(32), "a31"), Some("x"));
        assert_eq!(entry(&many(33), "a0"), None);
    }
}
