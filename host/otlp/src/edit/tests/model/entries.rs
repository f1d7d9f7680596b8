//! Entries of decoded messages, in the contract's order, and what rewriting and removing them means.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};

use super::{Model, Row, hex, state_over};
use crate::path::Path;

/// What becomes of an entry.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum Fate {
    Stays,
    /// This text stands for it.
    Text(String),
    Goes,
}

impl Model {
    /// The entries of a path: row of the call, place, value.
    pub(in super::super) fn entries(&mut self, path: &Path) -> Vec<(u32, String, Value)> {
        let mut entries = BTreeMap::new();
        self.edit_entries(path, &mut |number, row, place, value| {
            // What rows share is walked again for each of them.
            entries.entry(number).or_insert_with(|| (row, place.to_owned(), value.clone()));
            Fate::Stays
        });
        entries.into_values().collect()
    }

    /// Asks for the fate of every entry, by its number, its row in the call, its place and its value. What rows share is asked
    /// for by the same number for each of them, since here each has a copy.
    pub(in super::super) fn edit_entries(
        &mut self,
        path: &Path,
        fate: &mut dyn FnMut(usize, u32, &str, &Value) -> Fate,
    ) {
        let mut next = 0;
        let mut known = [const { BTreeMap::<usize, usize>::new() }; 2];
        for (call_row, &number) in (0..).zip(&self.shown) {
            let Some(row) = &mut self.rows[number as usize] else { continue };
            let [resource, scope] = self.owners[number as usize];
            let walk = Walk::of(path);
            walk.span(row, &mut |place, value| {
                next += 1;
                fate(next - 1, call_row, place, value)
            });
            for (kind, owner) in [scope, resource].into_iter().enumerate() {
                let mut at = *known[kind].entry(owner).or_insert(next);
                let judge: &mut Judge<'_> = &mut |place, value| {
                    at += 1;
                    fate(at - 1, call_row, place, value)
                };
                if kind == 0 {
                    walk.scope(row, judge);
                } else {
                    walk.resource(row, judge);
                }
                next = next.max(at);
            }
        }
    }
}

type Judge<'j> = dyn FnMut(&str, &Value) -> Fate + 'j;

/// What of a row a path shows.
#[derive(Clone, Copy)]
struct Walk {
    /// All kinds of places.
    everything: bool,
    /// No values but texts.
    texts: bool,
    attributes: bool,
    events: bool,
    links: bool,
}

impl Walk {
    fn of(path: &Path) -> Self {
        let everything = matches!(path, Path::Values | Path::Strings);
        let of = |one: &Path| path == one;
        Self {
            everything,
            texts: of(&Path::Strings),
            attributes: everything || of(&Path::Attributes),
            events: everything || of(&Path::Events),
            links: everything || of(&Path::Links),
        }
    }

    fn span(self, row: &mut Row, judge: &mut Judge<'_>) {
        let span = &mut row.span;
        if self.everything {
            text(&mut span.name, "name", judge);
            let mut state = span.trace_state.clone();
            text(&mut state, "trace_state", judge);
            if state != span.trace_state {
                span.trace_state = state_over(&span.trace_state, &state);
            }
            text(&mut span.status.get_or_insert_default().message, "status.message", judge);
        }
        if self.attributes {
            self.list(&mut span.attributes, "attributes", judge);
        }
        if self.events {
            span.events.retain_mut(|event| {
                let mut stays = true;
                if self.everything {
                    text(&mut event.name, "events.name", judge);
                } else {
                    match judge("events.name", &Value::StringValue(event.name.clone())) {
                        Fate::Stays => {}
                        Fate::Text(new) => event.name = new,
                        Fate::Goes => stays = false,
                    }
                    let time = i64::try_from(event.time_unix_nano).unwrap_or(i64::MAX);
                    if time != 0 && judge("events.time_unix_nano", &Value::IntValue(time)) == Fate::Goes {
                        event.time_unix_nano = 0;
                    }
                }
                self.list(&mut event.attributes, "events.attributes", judge);
                stays
            });
        }
        if self.links {
            span.links.retain_mut(|link| {
                let mut stays = true;
                if !self.everything {
                    stays = judge("links.trace_id", &Value::StringValue(hex(&link.trace_id))) == Fate::Stays;
                    judge("links.span_id", &Value::StringValue(hex(&link.span_id)));
                }
                text(&mut link.trace_state, "links.trace_state", judge);
                self.list(&mut link.attributes, "links.attributes", judge);
                stays
            });
        }
    }

    fn scope(self, row: &mut Row, judge: &mut Judge<'_>) {
        if self.everything {
            text(&mut row.scope.name, "scope.name", judge);
            text(&mut row.scope.version, "scope.version", judge);
            text(&mut row.scope_schema, "scope.schema_url", judge);
            self.list(&mut row.scope.attributes, "scope.attributes", judge);
        }
    }

    fn resource(self, row: &mut Row, judge: &mut Judge<'_>) {
        if self.everything {
            text(&mut row.resource_schema, "resource.schema_url", judge);
            self.list(&mut row.resource.attributes, "resource.attributes", judge);
        }
    }

    fn list(self, pairs: &mut Vec<KeyValue>, place: &str, judge: &mut Judge<'_>) {
        pairs.retain_mut(|pair| {
            let key = pair.key.replace('\\', "\\\\").replace('"', "\\\"");
            let place = format!("{place}[\"{key}\"]");
            pair.value.as_mut().is_none_or(|value| self.value(value, &place, judge))
        });
    }

    /// Answers whether it stays.
    fn value(self, any: &mut AnyValue, place: &str, judge: &mut Judge<'_>) -> bool {
        match &mut any.value {
            None => true,
            Some(Value::ArrayValue(list)) => {
                list.values.retain_mut(|value| self.value(value, place, judge));
                true
            }
            Some(Value::KvlistValue(list)) => {
                self.list(&mut list.values, place, judge);
                true
            }
            Some(leaf) if self.texts && !matches!(leaf, Value::StringValue(_)) => true,
            Some(leaf) => match judge(place, leaf) {
                Fate::Stays => true,
                Fate::Text(new) => {
                    *leaf = Value::StringValue(new);
                    true
                }
                Fate::Goes => false,
            },
        }
    }
}

/// A text that is an entry unless it is empty. Removing it empties it.
fn text(text: &mut String, place: &str, judge: &mut Judge<'_>) {
    if text.is_empty() {
        return;
    }
    match judge(place, &Value::StringValue(text.clone())) {
        Fate::Stays => {}
        Fate::Text(new) => *text = new,
        Fate::Goes => text.clear(),
    }
}
