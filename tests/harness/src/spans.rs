//! Spans as services emit them, the same for the same seed.
//!
//! One request is what one SDK exports at once: spans of one service instance, from many traces, each a server span with a
//! few spans below it. Some are health checks, some hold personal data; the generator says which.

mod fields;
mod profile;
mod services;

pub use fields::PERSONAL;
pub use profile::Profile;

use crate::sink::id;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use services::{SERVICES, Service};

/// How many of the spans are special.
#[derive(Debug, Clone, Copy)]
pub struct Mix {
    /// Share of traces that are a health check.
    pub health: f64,
    /// Share of spans that hold personal data.
    pub personal: f64,
    /// Share of spans with status ERROR.
    pub errors: f64,
}

impl Default for Mix {
    /// About what an untuned fleet sends.
    fn default() -> Self {
        Self { health: 0.08, personal: 0.04, errors: 0.02 }
    }
}

impl Mix {
    /// Nothing special, so that no official plugin drops or changes a span.
    pub const PLAIN: Self = Self { health: 0.0, personal: 0.0, errors: 0.0 };
}

/// A request and what it is made of.
#[derive(Debug, Clone, Default)]
pub struct Made {
    /// What to send.
    pub request: ExportTraceServiceRequest,
    /// The ids of all its spans.
    pub ids: Vec<u64>,
    /// Those that are health checks.
    pub health: Vec<u64>,
    /// Those that hold one of `PERSONAL`.
    pub personal: Vec<u64>,
}

/// An endless source of requests.
#[derive(Debug, Clone)]
pub struct Generator {
    random: SmallRng,
    profile: Profile,
    mix: Mix,
    clock: u64,
    long: Option<Long>,
}

/// The trace that spans are put into until it is full.
#[derive(Debug, Clone)]
struct Long {
    size: usize,
    id: [u8; 16],
    spans: usize,
}

/// 2026-01-01T00:00:00Z in nanoseconds: the generator's clock starts here.
const START: u64 = 1_767_225_600_000_000_000;

impl Generator {
    /// The same seed gives the same spans. The seed is printed, so that a failed test can be repeated.
    pub fn new(profile: Profile, seed: u64) -> Self {
        eprintln!("spans: profile {profile:?}, seed {seed}");
        Self { random: SmallRng::seed_from_u64(seed), profile, mix: Mix::default(), clock: START, long: None }
    }

    /// With another share of special spans.
    #[must_use]
    pub fn mix(mut self, mix: Mix) -> Self {
        self.mix = mix;
        self
    }

    /// With large traces of about so many spans, instead of one for each operation of a service.
    #[must_use]
    pub fn traces_of(mut self, size: usize) -> Self {
        self.long = Some(Long { size, id: self.random.random(), spans: 0 });
        self
    }

    /// The next request, of exactly so many spans.
    pub fn request(&mut self, spans: usize) -> Made {
        let service = &SERVICES[self.random.random_range(0..SERVICES.len())];
        let mut made = Made::default();
        let mut all = Vec::with_capacity(spans);
        while all.len() < spans {
            let room = spans - all.len();
            self.trace(service, room, &mut all, &mut made);
        }
        made.request = ExportTraceServiceRequest { resource_spans: vec![self.wrap(service, all)] };
        made
    }

    fn wrap(&mut self, service: &Service, spans: Vec<Span>) -> ResourceSpans {
        let attributes = fields::resource(service, self.random.random_range(0..8));
        ResourceSpans {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_spans: vec![ScopeSpans {
                scope: Some(fields::scope(service)),
                spans,
                schema_url: fields::SCHEMA.to_owned(),
            }],
            schema_url: fields::SCHEMA.to_owned(),
        }
    }

    /// One trace as this service sees it: a server span and up to five below it.
    fn trace(&mut self, service: &Service, room: usize, all: &mut Vec<Span>, made: &mut Made) {
        let trace = self.trace_id();
        let before = all.len();
        self.operation(service, trace, room, all, made);
        if let Some(long) = &mut self.long {
            long.spans += all.len() - before;
        }
    }

    fn trace_id(&mut self) -> [u8; 16] {
        match &mut self.long {
            Some(long) if long.spans < long.size => long.id,
            Some(long) => {
                (long.id, long.spans) = (self.random.random(), 0);
                long.id
            }
            None => self.random.random(),
        }
    }

    fn operation(&mut self, service: &Service, trace: [u8; 16], room: usize, all: &mut Vec<Span>, made: &mut Made) {
        if self.random.random_bool(self.mix.health) {
            let span = self.health_check(service, trace);
            made.health.push(id(&span));
            made.ids.push(id(&span));
            all.push(span);
            return;
        }
        let below = self.random.random_range(0..=5).min(room - 1);
        let root = self.span(service, trace, &[], SpanKind::Server);
        let parent = root.span_id.clone();
        let mut spans = vec![root];
        for _ in 0..below {
            let kind = if self.random.random_bool(0.7) { SpanKind::Client } else { SpanKind::Internal };
            spans.push(self.span(service, trace, &parent, kind));
        }
        for mut span in spans {
            if self.random.random_bool(self.mix.personal) {
                fields::add_personal(&mut span, self.random.random_range(0..PERSONAL.len()));
                made.personal.push(id(&span));
            }
            made.ids.push(id(&span));
            all.push(span);
        }
    }

    fn span(&mut self, service: &Service, trace: [u8; 16], parent: &[u8], kind: SpanKind) -> Span {
        let mut span = self.blank(trace, parent, kind);
        let operation = &service.operations[self.random.random_range(0..service.operations.len())];
        fields::describe(&mut span, service, operation, &mut self.random);
        if self.random.random_bool(self.mix.errors) {
            fields::fail(&mut span);
        }
        self.profile.fill(&mut span, &mut self.random);
        span
    }

    fn health_check(&mut self, service: &Service, trace: [u8; 16]) -> Span {
        let mut span = self.blank(trace, &[], SpanKind::Server);
        fields::describe_health(&mut span, service, &mut self.random);
        self.profile.fill(&mut span, &mut self.random);
        span
    }

    fn blank(&mut self, trace: [u8; 16], parent: &[u8], kind: SpanKind) -> Span {
        self.clock += self.random.random_range(1_000..200_000);
        Span {
            trace_id: trace.to_vec(),
            span_id: self.random.random_range(1..=u64::MAX).to_be_bytes().to_vec(),
            parent_span_id: parent.to_vec(),
            kind: kind as i32,
            flags: 0x101,
            start_time_unix_nano: self.clock,
            end_time_unix_nano: self.clock + self.random.random_range(100_000..250_000_000),
            ..Span::default()
        }
    }
}

#[cfg(test)]
mod tests;
