//! Batches for tests, made with the official messages so that this crate's own writer proves nothing about itself.

use std::sync::Arc;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use crate::batch::{Batch, Incoming, RequestContext};

pub(crate) fn text(value: &str) -> Value {
    Value::StringValue(value.to_owned())
}

pub(crate) fn array(values: Vec<Value>) -> Value {
    Value::ArrayValue(ArrayValue { values: values.into_iter().map(any).collect() })
}

pub(crate) fn map(pairs: Vec<(&str, Value)>) -> Value {
    Value::KvlistValue(KeyValueList { values: attributes(pairs) })
}

pub(crate) fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

pub(crate) fn attributes(pairs: Vec<(&str, Value)>) -> Vec<KeyValue> {
    pairs
        .into_iter()
        .map(|(key, value)| KeyValue { key: key.to_owned(), value: Some(any(value)), ..KeyValue::default() })
        .collect()
}

/// A span with these attributes; its span id is `number`.
pub(crate) fn span(number: u64, pairs: Vec<(&str, Value)>) -> Span {
    Span {
        trace_id: vec![7; 16],
        span_id: number.to_be_bytes().to_vec(),
        name: format!("span {number}"),
        attributes: attributes(pairs),
        ..Span::default()
    }
}

/// Spans in one scope of one resource.
pub(crate) fn resource_spans(resource: Vec<(&str, Value)>, scope: &str, spans: Vec<Span>) -> ResourceSpans {
    ResourceSpans {
        resource: Some(Resource { attributes: attributes(resource), ..Resource::default() }),
        scope_spans: vec![ScopeSpans {
            scope: Some(InstrumentationScope { name: scope.to_owned(), ..InstrumentationScope::default() }),
            spans,
            schema_url: String::new(),
        }],
        schema_url: String::new(),
    }
}

/// A batch of one request for each list.
pub(crate) fn batch(requests: Vec<(RequestContext, Vec<ResourceSpans>)>) -> Batch {
    let incoming: Vec<_> = requests
        .into_iter()
        .map(|(context, resource_spans)| {
            let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
            Incoming { body: Bytes::from(body), context: Arc::new(context) }
        })
        .collect();
    let mut batch = Batch::new();
    for outcome in batch.load(&incoming) {
        outcome.unwrap();
    }
    batch
}

/// A batch of spans that share one resource.
pub(crate) fn spans(spans: Vec<Span>) -> Batch {
    batch(vec![(RequestContext::default(), vec![resource_spans(vec![], "", spans)])])
}
