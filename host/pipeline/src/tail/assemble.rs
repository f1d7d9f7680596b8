//! Puts spans together again as the body of a request: each resource once, in it each scope once, and their spans in the order in which they are given.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use foldhash::fast::RandomState;
use otlp::encode::parted;

use super::envelope::Envelope;

/// A span and what it came under.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) envelope: Arc<Envelope>,
    /// Where its bytes are, a field of its `ScopeSpans`.
    pub(super) span: Range<usize>,
}

/// What is used again from body to body.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    /// Which of `scopes` an envelope is, by its address: as long as it is held here no other has that.
    known: HashMap<usize, usize, RandomState>,
    scopes: Vec<Scope>,
    resources: Vec<Resource>,
}

#[derive(Debug)]
struct Scope {
    envelope: Arc<Envelope>,
    resource: usize,
    bytes: usize,
    parts: Vec<u32>,
}

#[derive(Debug)]
struct Resource {
    scopes: Vec<usize>,
    bytes: usize,
}

impl Assembler {
    /// Appends the spans, whose bytes are in `from`, as one body. `order` becomes their numbers in the order in which they stand in it.
    pub(super) fn assemble(&mut self, parts: &[Part], from: &[u8], out: &mut Vec<u8>, order: &mut Vec<u32>) {
        self.group(parts);
        order.clear();
        for resource in &self.resources {
            let Some(first) = resource.scopes.first() else { continue };
            parted::begin_resource(out, resource.bytes);
            out.extend_from_slice(&self.scopes[*first].envelope.resource);
            for scope in resource.scopes.iter().map(|scope| &self.scopes[*scope]) {
                parted::begin_scope(out, scope.bytes);
                out.extend_from_slice(&scope.envelope.scope);
                for &part in &scope.parts {
                    out.extend_from_slice(&from[parts[part as usize].span.clone()]);
                }
                order.extend_from_slice(&scope.parts);
            }
        }
        self.known.clear();
        self.scopes.clear();
        self.resources.clear();
    }

    fn group(&mut self, parts: &[Part]) {
        for (number, part) in (0..).zip(parts) {
            let scope = *self.known.entry(Arc::as_ptr(&part.envelope).addr()).or_insert_with(|| {
                let bytes = part.envelope.scope.len();
                let envelope = Arc::clone(&part.envelope);
                self.scopes.push(Scope { envelope, resource: 0, bytes, parts: Vec::new() });
                self.scopes.len() - 1
            });
            let scope = &mut self.scopes[scope];
            scope.bytes += part.span.len();
            scope.parts.push(number);
        }
        // By address: those of one shard are there once.
        let mut resources: HashMap<usize, usize, RandomState> = HashMap::default();
        for (number, scope) in self.scopes.iter_mut().enumerate() {
            let all = &mut self.resources;
            scope.resource = *resources.entry(scope.envelope.resource.as_ptr().addr()).or_insert_with(|| {
                all.push(Resource { scopes: Vec::new(), bytes: scope.envelope.resource.len() });
                all.len() - 1
            });
            let resource = &mut all[scope.resource];
            resource.scopes.push(number);
            resource.bytes += parted::scope_len(scope.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::resource::v1::Resource as OtlpResource;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use prost::Message as _;

    use super::*;

    fn resource(number: u32) -> Arc<[u8]> {
        let resource = OtlpResource { dropped_attributes_count: number, ..OtlpResource::default() };
        ResourceSpans { resource: Some(resource), ..ResourceSpans::default() }.encode_to_vec().into()
    }

    fn envelope(resource: &Arc<[u8]>, scope: &str) -> Arc<Envelope> {
        let scope = ScopeSpans { schema_url: scope.to_owned(), ..ScopeSpans::default() };
        Arc::new(Envelope {
            context: Arc::default(),
            resource: Arc::clone(resource),
            scope: scope.encode_to_vec().into(),
        })
    }

    #[test]
    fn each_resource_and_scope_stands_once_with_its_spans_in_order() {
        let [one, two] = [resource(1), resource(2)];
        let envelopes = [envelope(&one, "a"), envelope(&two, "a"), envelope(&one, "b")];
        let mut from = Vec::new();
        let mut parts = Vec::new();
        for (number, which) in [0, 1, 2, 0, 1, 0].into_iter().enumerate() {
            let start = from.len();
            let span = Span { name: number.to_string(), ..Span::default() };
            let one = ScopeSpans { spans: vec![span], ..ScopeSpans::default() };
            one.encode(&mut from).unwrap();
            parts.push(Part { envelope: envelopes[which].clone(), span: start..from.len() });
        }
        let (mut out, mut order) = (Vec::new(), Vec::new());
        let mut assembler = Assembler::default();
        assembler.assemble(&parts, &from, &mut out, &mut order);
        let request = ExportTraceServiceRequest::decode(&out[..]).unwrap();
        let told: Vec<_> = request
            .resource_spans
            .iter()
            .flat_map(|resource| {
                let number = resource.resource.as_ref().unwrap().dropped_attributes_count;
                resource.scope_spans.iter().map(move |scope| {
                    let names: Vec<_> = scope.spans.iter().map(|span| &*span.name).collect();
                    (number, &*scope.schema_url, names)
                })
            })
            .collect();
        assert_eq!(told, [(1, "a", vec!["0", "3", "5"]), (1, "b", vec!["2"]), (2, "a", vec!["1", "4"])]);
        assert_eq!(order, [0, 3, 5, 2, 1, 4]);
        assembler.assemble(&parts[1..2], &from, &mut out, &mut order);
        assert_eq!(order, [0], "nothing is left of the one before");
    }
}
