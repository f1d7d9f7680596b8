//! One span before and after: remembers some that went in, and finds them again among those that came out.

use harness::sink::{id, spans};
use harness::spans::Made;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use std::collections::BTreeMap;
use std::collections::VecDeque;

const REMEMBERED: usize = 500;

/// A place, what it held, and what it holds.
pub type Difference = (String, String, String);

/// Spans on their way.
#[derive(Debug, Default)]
pub struct Pairs {
    sent: VecDeque<Span>,
    latest: Vec<Difference>,
}

impl Pairs {
    /// Remembers the spans with personal data: on them most can be seen.
    pub fn goes_in(&mut self, made: &Made) {
        let telling = spans(&made.request).filter(|span| made.personal.contains(&id(span)));
        self.sent.extend(telling.cloned());
        while self.sent.len() > REMEMBERED {
            self.sent.pop_front();
        }
    }

    /// Looks for remembered spans; the one that changed most is shown.
    pub fn came_out(&mut self, request: &ExportTraceServiceRequest) {
        let pairs = spans(request).filter_map(|after| {
            let before = self.sent.iter().find(|before| before.span_id == after.span_id)?;
            Some(differences(before, after))
        });
        if let Some(most) = pairs.max_by_key(Vec::len).filter(|found| !found.is_empty()) {
            self.latest = most;
        }
    }

    /// Where the latest pair differs.
    pub fn latest(&self) -> &[Difference] {
        &self.latest
    }
}

fn differences(before: &Span, after: &Span) -> Vec<Difference> {
    let (before, after) = (places(before), places(after));
    let keys: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let held = |side: &BTreeMap<String, String>, key: &str| side.get(key).cloned().unwrap_or_default();
    let all = keys.into_iter().map(|key| (key.clone(), held(&before, key), held(&after, key)));
    all.filter(|(_, before, after)| before != after).collect()
}

fn places(span: &Span) -> BTreeMap<String, String> {
    let mut places =
        BTreeMap::from([("name".to_owned(), span.name.clone()), ("trace_state".to_owned(), span.trace_state.clone())]);
    places.extend(span.attributes.iter().map(|attribute| (attribute.key.clone(), text(attribute))));
    for event in &span.events {
        places.extend(
            event.attributes.iter().map(|attribute| (format!("{} / {}", event.name, attribute.key), text(attribute))),
        );
    }
    places
}

fn text(attribute: &KeyValue) -> String {
    match &attribute.value {
        Some(AnyValue { value: Some(Value::StringValue(text)) }) => text.clone(),
        Some(AnyValue { value: Some(Value::IntValue(number)) }) => number.to_string(),
        Some(AnyValue { value: Some(other) }) => format!("{other:?}"),
        _ => String::new(),
    }
}
