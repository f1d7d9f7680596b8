//! How large spans are: three sizes that cover what instrumentations send.

use super::fields;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use rand::RngExt as _;
use rand::rngs::SmallRng;

/// The mean size of a span on the wire, its share of the resource included, within a tenth at 100 spans a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// 300 B: a hand-written instrumentation.
    Small,
    /// 600 B: what auto-instrumentation of HTTP and databases sends.
    Medium,
    /// 4 KB: long statements, headers, exceptions with their stack traces.
    Large,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 3] = [Self::Small, Self::Medium, Self::Large];

    /// The mean size of a span, in bytes.
    pub fn bytes(self) -> usize {
        match self {
            Self::Small => 300,
            Self::Medium => 600,
            Self::Large => 4096,
        }
    }

    /// Adds attributes and events until the span is about as large as the profile says, give or take a fifth.
    pub(super) fn fill(self, span: &mut Span, random: &mut SmallRng) {
        let want = self.bytes() * random.random_range(80..120) / 100;
        let mut next = 0;
        while let Some(missing) = want.checked_sub(span.encoded_len()).filter(|missing| *missing > 20) {
            match self {
                Self::Large if missing > 1200 && span.events.is_empty() => fields::add_exception(span, random),
                Self::Large if missing > 700 && next % 3 == 0 => fields::add_statement(span, missing.min(1400), next),
                _ => fields::add_common(span, next, missing, random),
            }
            next += 1;
        }
    }
}
