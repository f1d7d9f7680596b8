//! The plain reference: edits of decoded messages, where each row has a resource and a scope of its own.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::Event;

use crate::columns::Cells;
use crate::edit::{Constant, Edit, Mode, Rows, Sampling, Values};
use crate::path::Path;
use crate::sampling::{self, Verdict};

mod entries;

pub(super) use entries::Fate;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    resource: Resource,
    resource_schema: String,
    scope: InstrumentationScope,
    scope_schema: String,
    span: Span,
}

pub(super) struct Model {
    rows: Vec<Option<Row>>,
    /// Which resource and which scope of the message each row has.
    owners: Vec<[usize; 2]>,
    shown: Vec<u32>,
}

fn flat(message: &ExportTraceServiceRequest) -> impl Iterator<Item = Row> {
    message.resource_spans.iter().flat_map(|resource| {
        resource.scope_spans.iter().flat_map(move |scope| {
            scope.spans.iter().map(move |span| {
                let mut span = span.clone();
                // An empty status and none mean the same.
                span.status.get_or_insert_default();
                Row {
                    resource: resource.resource.clone().unwrap_or_default(),
                    resource_schema: resource.schema_url.clone(),
                    scope: scope.scope.clone().unwrap_or_default(),
                    scope_schema: scope.schema_url.clone(),
                    span,
                }
            })
        })
    })
}

pub(super) fn by_id(message: &ExportTraceServiceRequest) -> BTreeMap<Vec<u8>, Row> {
    flat(message).map(|row| (row.span.span_id.clone(), row)).collect()
}

impl Model {
    pub(super) fn new(message: &ExportTraceServiceRequest, shown: &[u32]) -> Self {
        let mut owners = Vec::new();
        let mut scopes = 0;
        for (resource, resource_spans) in message.resource_spans.iter().enumerate() {
            for scope in &resource_spans.scope_spans {
                owners.extend(vec![[resource, scopes]; scope.spans.len()]);
                scopes += 1;
            }
        }
        Self { rows: flat(message).map(Some).collect(), owners, shown: shown.to_vec() }
    }

    pub(super) fn left(&self) -> BTreeMap<Vec<u8>, Row> {
        self.rows.iter().flatten().map(|row| (row.span.span_id.clone(), row.clone())).collect()
    }

    pub(super) fn apply(&mut self, edit: &Edit) {
        if let Edit::Event { row, time, name, attributes } = edit {
            if let Some(row) = &mut self.rows[self.shown[*row as usize] as usize] {
                let pair = |(key, constant): &(String, Constant)| pair_of(key, &value_of(constant));
                row.span.events.push(Event {
                    time_unix_nano: *time,
                    name: name.clone(),
                    attributes: attributes.iter().map(pair).collect(),
                    ..Event::default()
                });
            }
            return;
        }
        let (Edit::Drop { at, .. }
        | Edit::Sample { at, .. }
        | Edit::Weigh { at, .. }
        | Edit::Set { at, .. }
        | Edit::Copy { at, .. }
        | Edit::Move { at, .. }
        | Edit::Remove { at, .. }) = edit
        else {
            panic!("not an edit of the model");
        };
        let rows: Vec<u32> = match at {
            Rows::Every => self.shown.clone(),
            Rows::These(these) => these.iter().map(|&row| self.shown[row as usize]).collect(),
            Rows::Marked(marks) => {
                self.shown.iter().zip(marks).filter(|(_, mark)| **mark != 0).map(|(row, _)| *row).collect()
            }
        };
        for (k, row) in rows.into_iter().enumerate() {
            let slot = &mut self.rows[row as usize];
            let Some(row) = slot else { continue };
            match edit {
                Edit::Set { path, to, mode, .. } => {
                    row.write(path, &value_at(to, k), *mode);
                }
                Edit::Sample { probability, how, .. } if row.sample(*probability, *how) => {}
                Edit::Sample { .. } => *slot = None,
                Edit::Weigh { probability, .. } => row.weigh(*probability),
                Edit::Copy { path, to, mode, .. } if path != to => {
                    if let Some(value) = row.read(path) {
                        row.write(to, &value, *mode);
                    }
                }
                Edit::Move { path, to, mode, .. } if path != to => row.rename(path, to, *mode),
                Edit::Remove { path, .. } => row.remove(path),
                Edit::Drop { .. } => *slot = None,
                _ => {}
            }
        }
    }

    /// Rewrites every text with one of these letters, of shown rows and of what they share.
    pub(super) fn rewrite(&mut self, letters: &[u8]) {
        for &row in &self.shown {
            if let Some(row) = &mut self.rows[row as usize] {
                row.rewrite(letters);
            }
        }
    }
}

pub(super) fn rewritten(text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    text.extend_from_slice(b"_rewritten, and longer than it was");
    text
}

fn value_of(constant: &Constant) -> AnyValue {
    let value = match constant {
        Constant::Text(text) => Value::StringValue(text.clone()),
        Constant::Boolean(v) => Value::BoolValue(*v),
        Constant::Integer(v) => Value::IntValue(*v),
        Constant::Float(v) => Value::DoubleValue(*v),
        Constant::Bytes(v) => Value::BytesValue(v.clone()),
    };
    AnyValue { value: Some(value) }
}

/// What a `set` writes to the `k`-th of its rows.
fn value_at(values: &Values, k: usize) -> AnyValue {
    let text = |bytes: Option<&[u8]>| Constant::Text(String::from_utf8(bytes.unwrap().to_vec()).unwrap());
    value_of(&match values {
        Values::Same(constant) => constant.clone(),
        Values::Each(Cells::Text(texts)) => text(texts.get(k)),
        Values::Each(Cells::Words(words)) => text(words.words.get(words.codes[k] as usize)),
        Values::Each(Cells::Bytes(bytes)) => Constant::Bytes(bytes.get(k).unwrap().to_vec()),
        Values::Each(Cells::Integers(numbers)) => Constant::Integer(numbers[k]),
        Values::Each(Cells::Floats(numbers)) => Constant::Float(numbers[k]),
        Values::Each(Cells::Booleans(bits)) => Constant::Boolean(bits[k] != 0),
        Values::Each(cells) => panic!("not of a set: {cells:?}"),
    })
}

fn pair_of(key: &str, value: &AnyValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value.clone()), ..KeyValue::default() }
}

/// What a trace state becomes when another is written over it: its own `ot` entry, then the new ones without theirs.
fn state_over(old: &str, new: &str) -> String {
    fn entries(state: &str, of_host: bool) -> impl Iterator<Item = &str> {
        let entries = state.split(',').map(str::trim_ascii).filter(|entry| !entry.is_empty());
        entries.filter(move |entry| entry.starts_with("ot=") == of_host)
    }
    entries(old, true).take(1).chain(entries(new, false)).collect::<Vec<_>>().join(",")
}

/// An id as hex; nothing where there is none.
fn hex(id: &[u8]) -> String {
    if id.iter().all(|&byte| byte == 0) {
        return String::new();
    }
    let digit = |four: u8| char::from_digit(four.into(), 16).unwrap();
    id.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn allows(mode: Mode, there: bool) -> bool {
    match mode {
        Mode::Upsert => true,
        Mode::Insert => !there,
        Mode::Update => there,
    }
}

/// Answers whether it was written.
fn set(list: &mut Vec<KeyValue>, key: &str, value: &AnyValue, mode: Mode) -> bool {
    let there = list.iter().any(|pair| pair.key == key);
    if !allows(mode, there) {
        return false;
    }
    if there {
        for pair in list.iter_mut().filter(|pair| pair.key == key) {
            pair.value = Some(value.clone());
        }
    } else {
        list.push(pair_of(key, value));
    }
    true
}

fn get(list: &[KeyValue], key: &str) -> Option<AnyValue> {
    list.iter().find(|pair| pair.key == key).map(|pair| pair.value.clone().unwrap_or_default())
}

impl Row {
    fn text(&mut self, path: &Path) -> Option<&mut String> {
        Some(match path {
            Path::Name => &mut self.span.name,
            Path::StatusMessage => &mut self.span.status.get_or_insert_default().message,
            Path::ScopeName => &mut self.scope.name,
            Path::ScopeVersion => &mut self.scope.version,
            Path::ScopeSchemaUrl => &mut self.scope_schema,
            Path::ResourceSchemaUrl => &mut self.resource_schema,
            _ => return None,
        })
    }

    fn list(&mut self, path: &Path) -> Option<(&mut Vec<KeyValue>, String)> {
        Some(match path {
            Path::Attribute(key) => (&mut self.span.attributes, key.to_string()),
            Path::ResourceAttribute(key) => (&mut self.resource.attributes, key.to_string()),
            Path::ScopeAttribute(key) => (&mut self.scope.attributes, key.to_string()),
            _ => return None,
        })
    }

    fn read(&mut self, path: &Path) -> Option<AnyValue> {
        if let Some((list, key)) = self.list(path) {
            return get(list, &key);
        }
        if let Some(text) = self.text(path) {
            return (!text.is_empty()).then(|| value_of(&Constant::Text(text.clone())));
        }
        let span = &self.span;
        let integer = |value: u64| Some(value_of(&Constant::Integer(i64::try_from(value).unwrap_or(i64::MAX))));
        let text = |text: String| (!text.is_empty()).then(|| value_of(&Constant::Text(text)));
        match path {
            Path::Kind => Some(value_of(&Constant::Integer(span.kind.into()))),
            Path::StatusCode => {
                Some(value_of(&Constant::Integer(span.status.as_ref().map_or(0, |status| status.code.into()))))
            }
            Path::StartTime => integer(span.start_time_unix_nano),
            Path::EndTime => integer(span.end_time_unix_nano),
            Path::Duration => integer(span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano)),
            Path::Flags => integer(span.flags.into()),
            Path::TraceId => text(hex(&span.trace_id)),
            Path::SpanId => text(hex(&span.span_id)),
            Path::ParentSpanId => text(hex(&span.parent_span_id)),
            Path::TraceState => text(span.trace_state.clone()),
            Path::EventName => self
                .span
                .events
                .iter()
                .find(|event| !event.name.is_empty())
                .map(|event| value_of(&Constant::Text(event.name.clone()))),
            Path::EventAttribute(key) => self.span.events.iter().find_map(|event| get(&event.attributes, key)),
            Path::LinkAttribute(key) => self.span.links.iter().find_map(|link| get(&link.attributes, key)),
            _ => panic!("{path} is not in the model"),
        }
    }

    fn write(&mut self, path: &Path, value: &AnyValue, mode: Mode) -> bool {
        if let Some((list, key)) = self.list(path) {
            return set(list, &key, value, mode);
        }
        if let Some(text) = self.text(path) {
            let Some(Value::StringValue(new)) = &value.value else { return false };
            if !allows(mode, !text.is_empty()) {
                return false;
            }
            text.clone_from(new);
            return true;
        }
        let new = match &value.value {
            Some(Value::IntValue(new)) if allows(mode, true) => Some(*new),
            _ => None,
        };
        match (path, &value.value) {
            (Path::Kind | Path::StatusCode, _) => {
                let Some(new) = new.and_then(|new| i32::try_from(new).ok()) else { return false };
                match path {
                    Path::Kind => self.span.kind = new,
                    _ => self.span.status.get_or_insert_default().code = new,
                }
                true
            }
            (Path::StartTime | Path::EndTime, _) => {
                let Some(new) = new.and_then(|new| u64::try_from(new).ok()) else { return false };
                match path {
                    Path::StartTime => self.span.start_time_unix_nano = new,
                    _ => self.span.end_time_unix_nano = new,
                }
                true
            }
            (Path::TraceState, Some(Value::StringValue(new))) => {
                let allowed = allows(mode, !self.span.trace_state.is_empty());
                if allowed {
                    self.span.trace_state = state_over(&self.span.trace_state, new);
                }
                allowed
            }
            (Path::EventName, Some(Value::StringValue(new))) => {
                let mut done = false;
                for event in self.span.events.iter_mut().filter(|event| allows(mode, !event.name.is_empty())) {
                    event.name.clone_from(new);
                    done = true;
                }
                done
            }
            (Path::TraceState | Path::EventName, _) => false,
            (Path::EventAttribute(key), _) => self
                .span
                .events
                .iter_mut()
                .fold(false, |done, event| set(&mut event.attributes, key, value, mode) | done),
            (Path::LinkAttribute(key), _) => {
                self.span.links.iter_mut().fold(false, |done, link| set(&mut link.attributes, key, value, mode) | done)
            }
            _ => panic!("{path} is not in the model"),
        }
    }

    fn remove(&mut self, path: &Path) {
        if let Some((list, key)) = self.list(path) {
            list.retain(|pair| pair.key != key);
        } else if let Some(text) = self.text(path) {
            text.clear();
        } else {
            match path {
                Path::Kind => self.span.kind = 0,
                Path::StatusCode => self.span.status.get_or_insert_default().code = 0,
                Path::StartTime => self.span.start_time_unix_nano = 0,
                Path::EndTime => self.span.end_time_unix_nano = 0,
                Path::TraceState => self.span.trace_state = state_over(&self.span.trace_state, ""),
                Path::EventName => self.span.events.iter_mut().for_each(|event| event.name.clear()),
                Path::EventAttribute(key) => {
                    self.span.events.iter_mut().for_each(|event| event.attributes.retain(|pair| *pair.key != **key));
                }
                Path::LinkAttribute(key) => {
                    self.span.links.iter_mut().for_each(|link| link.attributes.retain(|pair| *pair.key != **key));
                }
                _ => panic!("{path} is not in the model"),
            }
        }
    }

    /// Sampling has tests of its own; here it is about what is written and dropped. Answers whether the row stays.
    fn sample(&mut self, probability: f64, how: Sampling) -> bool {
        let (span, mut state) = (&mut self.span, Vec::new());
        match sampling::sample(&span.trace_id, span.trace_state.as_bytes(), probability, how, &mut state) {
            Ok(Verdict::Drop) => return false,
            Ok(Verdict::Keep) => {}
            Ok(Verdict::Rewrite) => span.trace_state = String::from_utf8(state).unwrap(),
            Err(error) => panic!("{error}"),
        }
        true
    }

    fn weigh(&mut self, probability: Option<f64>) {
        let (span, mut state) = (&mut self.span, Vec::new());
        if sampling::weigh(&span.trace_id, span.trace_state.as_bytes(), probability, &mut state).unwrap() {
            span.trace_state = String::from_utf8(state).unwrap();
        }
    }

    /// Within the span's attributes, one that gets a new key stays where it is.
    fn rename(&mut self, path: &Path, to: &Path, mode: Mode) {
        if let (Path::Attribute(from), Path::Attribute(into)) = (path, to)
            && get(&self.span.attributes, into).is_none()
            && allows(mode, false)
        {
            if let Some(pair) = self.span.attributes.iter_mut().find(|pair| *pair.key == **from) {
                pair.key = into.to_string();
                pair.value.get_or_insert_default();
            }
            self.remove(path);
        } else if let Some(value) = self.read(path)
            && self.write(to, &value, mode)
        {
            self.remove(path);
        }
    }

    fn rewrite(&mut self, letters: &[u8]) {
        let text = |text: &mut String| {
            if text.bytes().any(|byte| letters.contains(&byte)) {
                *text = String::from_utf8(rewritten(text.as_bytes())).unwrap();
            }
        };
        let Self { resource, resource_schema, scope, scope_schema, span } = self;
        let status = span.status.get_or_insert_default();
        for own in
            [resource_schema, &mut scope.name, &mut scope.version, scope_schema, &mut span.name, &mut status.message]
        {
            text(own);
        }
        // `ot` stays first when the trace state is written; no text of the generator's has the letters and `ot`.
        let mut lists = vec![&mut resource.attributes, &mut scope.attributes, &mut span.attributes];
        for event in &mut span.events {
            text(&mut event.name);
            lists.push(&mut event.attributes);
        }
        for link in &mut span.links {
            text(&mut link.trace_state);
            lists.push(&mut link.attributes);
        }
        for list in lists {
            for pair in list {
                rewrite_value(pair.value.as_mut(), &text);
            }
        }
    }
}

fn rewrite_value(value: Option<&mut AnyValue>, text: &impl Fn(&mut String)) {
    match value.and_then(|value| value.value.as_mut()) {
        Some(Value::StringValue(value)) => text(value),
        Some(Value::ArrayValue(list)) => list.values.iter_mut().for_each(|value| rewrite_value(Some(value), text)),
        Some(Value::KvlistValue(list)) => {
            list.values.iter_mut().for_each(|pair| rewrite_value(pair.value.as_mut(), text));
        }
        _ => {}
    }
}
