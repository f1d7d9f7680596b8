//! Which destinations get what of a request, where not all get everything: conditions on resources, and on what came with the
//! request. A `ResourceSpans`, or what metrics or logs have in its place, goes one way with all that it holds; whatever a request holds beside them goes along.
//!
//! Conditions are those of plugins, judged by the same code. For that each resource is put into a small request of its own making,
//! with one empty span, so that what it holds need not be read.

use std::sync::Arc;

use bytes::Bytes;
use otlp::batch::{Batch, Incoming};
use otlp::condition::Filter;
use otlp::signal::Signal;
use otlp::wire::{Field, Reader, Slice, WireError, put_bytes};

use super::Parcel;
use super::config::{When, WhenError, check_when};

/// How many resources are judged at once: what their index takes stays within what a batch may take in any case.
const AT_ONCE: usize = 64;

/// Fields of a request and of a `ResourceSpans`.
const RESOURCE_SPANS: u32 = 1;
const RESOURCE: u32 = 1;
const SCOPE_SPANS: u32 = 2;
const SCHEMA_URL: u32 = 3;

/// A `ScopeSpans` of one empty span.
const ONE_SPAN: &[u8] = &[0x12, 0];

/// What each destination gets.
#[derive(Debug)]
pub(super) struct Routes(Vec<Rule>);

/// What one of them gets.
#[derive(Debug)]
enum Rule {
    Everything,
    Matching(Filter),
    /// What matches nowhere.
    Otherwise,
}

/// What the destinations get of one request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shares {
    /// For each destination, a request and its items, if there is anything for it.
    pub each: Vec<Option<(Bytes, u32)>>,
    /// How many items none of them gets.
    pub unrouted: u32,
}

/// A `ResourceSpans`.
struct Element {
    at: Slice,
    body: Slice,
    items: u32,
}

impl Routes {
    /// What destinations with these conditions get; `None` where each gets everything.
    pub fn new<'a>(whens: impl Iterator<Item = Option<&'a When>>) -> Result<Option<Self>, WhenError> {
        let rule = |when: Option<&When>| {
            Ok(match when {
                None => Rule::Everything,
                Some(When::Otherwise) => Rule::Otherwise,
                Some(When::Any(lists)) => Rule::Matching(check_when(lists)?),
            })
        };
        let rules = whens.map(rule).collect::<Result<Vec<Rule>, WhenError>>()?;
        let all = rules.iter().all(|rule| matches!(rule, Rule::Everything));
        Ok((!all).then_some(Self(rules)))
    }

    /// Whether a destination gets everything.
    pub fn is_everything(&self, destination: usize) -> bool {
        matches!(self.0.get(destination), Some(Rule::Everything))
    }

    /// What the destinations get of a request. What cannot be read goes to those that get everything only.
    pub fn share(&self, parcel: &Parcel) -> Shares {
        let (elements, beside) = elements(parcel.signal, &parcel.body).unwrap_or_default();
        let mut takes = vec![vec![false; elements.len()]; self.0.len()];
        let mut matched = vec![false; elements.len()];
        for (at, chunk) in elements.chunks(AT_ONCE).enumerate() {
            let batch = skeleton(parcel, chunk);
            let rows: Vec<u32> = (0..batch.rows()).collect();
            let mut matching = Vec::new();
            for (rule, takes) in self.0.iter().zip(&mut takes) {
                let Rule::Matching(filter) = rule else { continue };
                filter.select(&batch, &rows, &mut matching);
                for element in matching.iter().map(|&row| at * AT_ONCE + row as usize) {
                    (takes[element], matched[element]) = (true, true);
                }
            }
        }
        for (rule, takes) in self.0.iter().zip(&mut takes) {
            match rule {
                Rule::Everything => takes.fill(true),
                Rule::Matching(_) => {}
                Rule::Otherwise => takes.iter_mut().zip(&matched).for_each(|(takes, matched)| *takes = !matched),
            }
        }
        let items = |of: &dyn Fn(usize) -> bool| -> u32 {
            elements.iter().enumerate().filter(|(at, _)| of(*at)).map(|(_, element)| element.items).sum()
        };
        let share = |(rule, takes): (&Rule, &Vec<bool>)| match rule {
            Rule::Everything => Some((parcel.body.clone(), parcel.items)),
            _ if !takes.is_empty() && takes.iter().all(|&takes| takes) => Some((parcel.body.clone(), parcel.items)),
            _ => match items(&|at| takes[at]) {
                0 => None,
                items => Some((part(&parcel.body, &beside, &elements, takes), items)),
            },
        };
        let each: Vec<_> = self.0.iter().zip(&takes).map(share).collect();
        let has_all = each.iter().flatten().any(|(_, items)| *items == parcel.items);
        let unrouted =
            if has_all { 0 } else { parcel.items.saturating_sub(items(&|at| takes.iter().any(|takes| takes[at]))) };
        Shares { each, unrouted }
    }
}

/// The `ResourceSpans` of a request, and what stands beside them.
fn elements(signal: Signal, body: &Bytes) -> Result<(Vec<Element>, Vec<Slice>), WireError> {
    let (mut elements, mut beside) = (Vec::new(), Vec::new());
    let mut reader = Reader::new(body);
    while let Some(field) = reader.next()? {
        let at = Slice::between(field.start, field.end);
        if field.number == RESOURCE_SPANS {
            let inner = field.bytes()?;
            elements.push(Element { at, body: inner, items: signal.count_within(body, inner, 1)? });
        } else {
            beside.push(at);
        }
    }
    Ok((elements, beside))
}

/// A batch with a row for each of some resources.
fn skeleton(parcel: &Parcel, elements: &[Element]) -> Batch {
    let body = &parcel.body;
    let mut request = Vec::new();
    for element in elements {
        let mut message = Vec::new();
        let mut reader = Reader::within(body, element.body);
        while let Ok(Some(Field { number, start, end, .. })) = reader.next() {
            if let RESOURCE | SCHEMA_URL = number {
                message.extend_from_slice(&body[start as usize..end as usize]);
            }
        }
        put_bytes(&mut message, SCOPE_SPANS, ONE_SPAN);
        put_bytes(&mut request, RESOURCE_SPANS, &message);
    }
    let mut batch = Batch::new();
    // Where it cannot be read it has no rows, and so matches nothing.
    drop(batch.load(&[Incoming { body: request.into(), context: Arc::clone(&parcel.context) }]));
    batch
}

/// A request of some of the elements, and all that stands beside them.
fn part(body: &Bytes, beside: &[Slice], elements: &[Element], takes: &[bool]) -> Bytes {
    let taken = || elements.iter().zip(takes).filter(|(_, takes)| **takes).map(|(element, _)| &element.at);
    let bytes = |slice: &Slice| slice.at as usize..slice.end() as usize;
    let mut part = Vec::with_capacity(beside.iter().chain(taken()).map(|slice| slice.len as usize).sum());
    for slice in beside.iter().chain(taken()) {
        part.extend_from_slice(&body[bytes(slice)]);
    }
    part.into()
}

#[cfg(test)]
mod tests;
