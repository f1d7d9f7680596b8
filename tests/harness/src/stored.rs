//! Spans as a back end gives them back.

use backends::hex;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};

/// One stored span with what it shares with others.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The span.
    pub span: Span,
    /// Its resource's attributes.
    pub resource: Vec<KeyValue>,
    /// Everything about it as text, to search for what must not be there.
    pub text: String,
}

impl Stored {
    /// Flattens what a query answered.
    pub fn all(resources: Vec<ResourceSpans>) -> Vec<Self> {
        resources.into_iter().flat_map(Self::of).collect()
    }

    fn of(all: ResourceSpans) -> impl Iterator<Item = Self> {
        let resource = all.resource.unwrap_or_default().attributes;
        all.scope_spans.into_iter().flat_map(move |scope| {
            let resource = resource.clone();
            let name = scope.scope.unwrap_or_default();
            scope.spans.into_iter().map(move |span| Self {
                text: format!("{span:?} {resource:?} {name:?}"),
                span,
                resource: resource.clone(),
            })
        })
    }

    /// Its trace's id in hex.
    pub fn trace(&self) -> String {
        hex(&self.span.trace_id)
    }

    /// Its id in hex.
    pub fn id(&self) -> String {
        hex(&self.span.span_id)
    }

    /// Its parent's id in hex, empty for a root.
    pub fn parent(&self) -> String {
        hex(&self.span.parent_span_id)
    }

    /// A text attribute of the span.
    pub fn attribute(&self, key: &str) -> Option<&str> {
        find(&self.span.attributes, key)
    }

    /// A text attribute of its resource.
    pub fn resource_attribute(&self, key: &str) -> Option<&str> {
        find(&self.resource, key)
    }
}

fn find<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match &found.value {
        Some(AnyValue { value: Some(Value::StringValue(text)) }) => Some(text),
        _ => None,
    }
}
