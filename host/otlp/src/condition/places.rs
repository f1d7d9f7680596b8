//! Judging paths that stand for many places: whether any value of a row there passes.

use crate::batch::{Batch, Run, Span};
use crate::columns::build::put_hex;
use crate::index::event_field;
use crate::index::link_field;
use crate::path::Path;
use crate::value::{self, Value};
use crate::wire::{Payload, Reader, Slice};

/// Which values of the places a path means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// All.
    All,
    /// Texts only: `strings`.
    Texts,
}

impl Of {
    fn meant_by(path: &Path) -> Self {
        if *path == Path::Strings { Self::Texts } else { Self::All }
    }
}

/// Whether a value of the span at one of the places of `path` passes. Elements of arrays and values of maps are places
/// of their own; the lists themselves are none. `strings` and `values` are judged by [`own`] and [`shared`].
pub(super) fn any(batch: &Batch, span: &Span, path: &Path, passes: &mut dyn FnMut(Value<'_>) -> bool) -> bool {
    let scope = batch.scope(span);
    let resource = batch.resource(span);
    match path {
        Path::Attributes => attributes(batch, span.attributes, Of::All, passes),
        Path::ResourceAttributes => attributes(batch, resource.attributes, Of::All, passes),
        Path::ScopeAttributes => attributes(batch, scope.attributes, Of::All, passes),
        Path::Events => events(batch, span).any(|body| event(body, Of::All, true, passes)),
        Path::Links => links(batch, span).any(|body| link(body, Of::All, true, passes)),
        Path::EventName => events(batch, span)
            .any(|body| passes(Value::Text(bytes_field(body, event_field::NAME).unwrap_or_default()))),
        Path::EventAttribute(key) => events(batch, span).any(|body| under(body, event_field::ATTRIBUTES, key, passes)),
        Path::LinkAttribute(key) => links(batch, span).any(|body| under(body, link_field::ATTRIBUTES, key, passes)),
        _ => false,
    }
}

/// What of `strings` and `values` is the span's own.
pub(super) fn own(batch: &Batch, span: &Span, path: &Path, passes: &mut dyn FnMut(Value<'_>) -> bool) -> bool {
    let of = Of::meant_by(path);
    texts(batch, &[span.name, span.status_message, span.trace_state], passes)
        || attributes(batch, span.attributes, of, passes)
        || events(batch, span).any(|body| event(body, of, false, passes))
        || links(batch, span).any(|body| link(body, of, false, passes))
}

/// What of `strings` and `values` it shares with the other spans of its scope.
pub(super) fn shared(batch: &Batch, span: &Span, path: &Path, passes: &mut dyn FnMut(Value<'_>) -> bool) -> bool {
    let (scope, resource, of) = (batch.scope(span), batch.resource(span), Of::meant_by(path));
    texts(batch, &[scope.name, scope.version, scope.schema_url, resource.schema_url], passes)
        || attributes(batch, scope.attributes, of, passes)
        || attributes(batch, resource.attributes, of, passes)
}

fn texts(batch: &Batch, texts: &[Slice], passes: &mut dyn FnMut(Value<'_>) -> bool) -> bool {
    texts.iter().any(|&at| !at.is_empty() && passes(Value::Text(batch.get(at))))
}

fn attributes(batch: &Batch, run: Run, of: Of, passes: &mut dyn FnMut(Value<'_>) -> bool) -> bool {
    batch.attributes(run).iter().any(|attribute| nested(batch.get(attribute.value), of, passes))
}

/// A value, or the values in it. The index has bounded how deep they are nested.
fn nested(body: &[u8], of: Of, passes: &mut dyn FnMut(Value<'_>) -> bool) -> bool {
    match value::read(body) {
        Value::Array(list) => value::elements(list).any(|at| nested(part(list, at), of, passes)),
        Value::Map(list) => value::pairs(list).any(|(_, at)| nested(part(list, at), of, passes)),
        Value::Empty => false,
        text @ Value::Text(_) => passes(text),
        other => of == Of::All && passes(other),
    }
}

fn part(bytes: &[u8], at: Slice) -> &[u8] {
    &bytes[at.at as usize..at.end() as usize]
}

fn events<'b>(batch: &'b Batch, span: &Span) -> impl Iterator<Item = &'b [u8]> + use<'b> {
    batch.events[span.events.range()].iter().map(|part| batch.get(part.body))
}

fn links<'b>(batch: &'b Batch, span: &Span) -> impl Iterator<Item = &'b [u8]> + use<'b> {
    batch.links[span.links.range()].iter().map(|part| batch.get(part.body))
}

/// Name, time (if `whole`) and attributes of an event.
fn event(body: &[u8], of: Of, whole: bool, passes: &mut dyn FnMut(Value<'_>) -> bool) -> bool {
    let name = bytes_field(body, event_field::NAME).unwrap_or_default();
    if (whole || !name.is_empty()) && passes(Value::Text(name)) {
        return true;
    }
    whole && passes(Value::Integer(time(body))) || pairs(body, event_field::ATTRIBUTES, of, passes)
}

/// Ids (if `whole`), state and attributes of a link.
fn link(body: &[u8], of: Of, whole: bool, passes: &mut dyn FnMut(Value<'_>) -> bool) -> bool {
    if whole {
        for number in [link_field::TRACE_ID, link_field::SPAN_ID] {
            let mut hex = Vec::with_capacity(32);
            put_hex(&mut hex, bytes_field(body, number).unwrap_or_default());
            if passes(Value::Text(&hex)) {
                return true;
            }
        }
    }
    let state = bytes_field(body, link_field::TRACE_STATE).unwrap_or_default();
    !state.is_empty() && passes(Value::Text(state)) || pairs(body, link_field::ATTRIBUTES, of, passes)
}

fn time(body: &[u8]) -> i64 {
    let mut time = 0;
    let mut reader = Reader::new(body);
    while let Ok(Some(f)) = reader.next() {
        if let (event_field::TIME, Payload::Fixed64(nanoseconds)) = (f.number, f.payload) {
            time = nanoseconds;
        }
    }
    i64::try_from(time).unwrap_or(i64::MAX)
}

/// The values of the attributes in an event or link.
fn pairs(body: &[u8], number: u32, of: Of, passes: &mut dyn FnMut(Value<'_>) -> bool) -> bool {
    fields(body, number).any(|pair| nested(value_of(pair).1, of, passes))
}

/// The values of one attribute of an event or link: of a repeated key the first.
fn under(body: &[u8], number: u32, key: &str, passes: &mut dyn FnMut(Value<'_>) -> bool) -> bool {
    let found = fields(body, number).map(value_of).find(|(at, _)| *at == key.as_bytes());
    found.is_some_and(|(_, value)| nested(value, Of::All, passes))
}

fn value_of(pair: &[u8]) -> (&[u8], &[u8]) {
    let whole = Slice { at: 0, len: pair.len() as u32 };
    let (key, value) = value::key_value(pair, whole);
    (part(pair, key), part(pair, value))
}

fn bytes_field(body: &[u8], number: u32) -> Option<&[u8]> {
    fields(body, number).last()
}

fn fields(body: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    let mut reader = Reader::new(body);
    std::iter::from_fn(move || {
        while let Ok(Some(f)) = reader.next() {
            if let (true, Payload::Bytes(at)) = (f.number == number, f.payload) {
                return Some(part(body, at));
            }
        }
        None
    })
}
