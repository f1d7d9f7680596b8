//! Reading the source of a copy or a move: any path that has one value in a row.

use crate::batch::{Batch, Run, Span};
use crate::index::{event_field, link_field};
use crate::path::Path;
use crate::value;
use crate::wire::{Reader, Slice};

use super::attributes::{self, Key};
use super::datum::{Datum, valid_any, valid_text};

/// A path to read.
pub(super) struct Source<'p> {
    path: &'p Path,
    key: Option<Key<'p>>,
    /// What was made for the last request: texts from outside are put into the batch once.
    request: Option<(u32, Option<Slice>)>,
}

impl<'p> Source<'p> {
    pub(super) fn of(batch: &mut Batch, path: &'p Path) -> Self {
        let key = match path {
            Path::Attribute(key)
            | Path::ResourceAttribute(key)
            | Path::ScopeAttribute(key)
            | Path::EventAttribute(key)
            | Path::LinkAttribute(key) => Some(Key::new(batch, key)),
            _ => None,
        };
        Self { path, key, request: None }
    }

    /// The value in a row of the batch, with valid text; `None` where the row has none.
    #[inline]
    pub(super) fn read(&mut self, batch: &mut Batch, row: usize) -> Option<Datum<'static>> {
        let span = batch.spans[row];
        let number = |v: u32| Some(Datum::Integer(i64::from(v)));
        let time = |v: u64| Some(Datum::Integer(i64::try_from(v).unwrap_or(i64::MAX)));
        match self.path {
            Path::Attribute(_) => self.attribute(batch, span.attributes),
            Path::ResourceAttribute(_) => {
                let run = batch.resource(&span).attributes;
                self.attribute(batch, run)
            }
            Path::ScopeAttribute(_) => {
                let run = batch.scope(&span).attributes;
                self.attribute(batch, run)
            }
            Path::TraceId => id(batch, span.trace_id),
            Path::SpanId => id(batch, span.span_id),
            Path::ParentSpanId => id(batch, span.parent_span_id),
            Path::TraceState => text(batch, span.trace_state),
            Path::Name => text(batch, span.name),
            Path::StatusMessage => text(batch, span.status_message),
            Path::ResourceSchemaUrl => text(batch, batch.resource(&span).schema_url),
            Path::ScopeName => text(batch, batch.scope(&span).name),
            Path::ScopeVersion => text(batch, batch.scope(&span).version),
            Path::ScopeSchemaUrl => text(batch, batch.scope(&span).schema_url),
            Path::Kind => Some(Datum::Integer(i64::from(span.kind))),
            Path::StatusCode => Some(Datum::Integer(i64::from(span.status_code))),
            Path::Flags => number(span.flags),
            Path::DroppedAttributesCount => number(span.dropped_attributes),
            Path::DroppedEventsCount => number(span.dropped_events),
            Path::DroppedLinksCount => number(span.dropped_links),
            Path::Resource => number(batch.scope(&span).resource),
            Path::Scope => number(span.scope),
            Path::StartTime => time(span.start_time),
            Path::EndTime => time(span.end_time),
            Path::Duration => time(span.end_time.saturating_sub(span.start_time)),
            Path::RequestTenant | Path::RequestPeer | Path::RequestHeader(_) => self.request(batch, span.request),
            Path::EventName | Path::EventAttribute(_) | Path::LinkAttribute(_) => self.part(batch, &span),
            Path::Attributes
            | Path::ResourceAttributes
            | Path::ScopeAttributes
            | Path::Events
            | Path::Links
            | Path::Values
            | Path::Strings => None,
        }
    }

    fn attribute(&self, batch: &mut Batch, run: Run) -> Option<Datum<'static>> {
        let at = attributes::find(batch, run, self.key.as_ref()?)?;
        let value = batch.attributes[at].value;
        Some(Datum::Any(valid_any(batch, value)))
    }

    fn request(&mut self, batch: &mut Batch, request: u32) -> Option<Datum<'static>> {
        if let Some((known, text)) = self.request
            && known == request
        {
            return text.map(Datum::Text);
        }
        let context = batch.requests[request as usize].context.clone();
        let text = match self.path {
            Path::RequestTenant => context.tenant.as_deref(),
            Path::RequestPeer => Some(&*context.peer),
            Path::RequestHeader(name) => {
                context.headers.iter().find(|(header, _)| **header == **name).map(|(_, value)| &**value)
            }
            _ => None,
        };
        let text = text.filter(|text| !text.is_empty()).map(|text| batch.put(text.as_bytes()));
        self.request = Some((request, text));
        text.map(Datum::Text)
    }

    /// The first event or link that has it.
    fn part(&self, batch: &mut Batch, span: &Span) -> Option<Datum<'static>> {
        let (parts, number) = match self.path {
            Path::EventName => (&batch.events[span.events.range()], event_field::NAME),
            Path::EventAttribute(_) => (&batch.events[span.events.range()], event_field::ATTRIBUTES),
            _ => (&batch.links[span.links.range()], link_field::ATTRIBUTES),
        };
        let found = parts.iter().find_map(|part| {
            let body = batch.get(part.body);
            let mut reader = Reader::new(body);
            while let Ok(Some(f)) = reader.next() {
                if f.number != number {
                    continue;
                }
                let inner = f.bytes().ok()?;
                let Some(key) = &self.key else {
                    return (!inner.is_empty()).then_some((inner.at + part.body.at, inner.len));
                };
                let (name, value) = value::key_value(body, inner);
                if &body[name.at as usize..name.end() as usize] == key.bytes {
                    return Some((value.at + part.body.at, value.len));
                }
            }
            None
        });
        let (at, len) = found?;
        let slice = Slice { at, len };
        Some(match self.key {
            Some(_) => Datum::Any(valid_any(batch, slice)),
            None => Datum::Text(valid_text(batch, slice)),
        })
    }
}

fn text(batch: &mut Batch, text: Slice) -> Option<Datum<'static>> {
    (!text.is_empty()).then(|| Datum::Text(valid_text(batch, text)))
}

/// An id as hex; absent when it is empty or all zero.
fn id(batch: &mut Batch, id: Slice) -> Option<Datum<'static>> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    if batch.get(id).iter().all(|&byte| byte == 0) {
        return None;
    }
    let at = batch.arena_at();
    for i in 0..id.len {
        let byte = batch.get(Slice { at: id.at + i, len: 1 })[0];
        batch.arena.extend([byte >> 4, byte & 15].map(|digit| DIGITS[digit as usize]));
    }
    Some(Datum::Text(batch.since(at)))
}
