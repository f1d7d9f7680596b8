//! Samplers: plugins that decide whole traces from the host's trace buffer. They see summaries and, if they ask for them, columns
//! of a trace's spans, and answer what becomes of each trace; the host keeps the bytes.
//!
//! ```
//! use tracemill_sdk::prelude::*;
//!
//! struct KeepErrors {
//!     error: Reason,
//!     share: Reason,
//! }
//!
//! impl Sampler for KeepErrors {
//!     type Settings = NoSettings;
//!
//!     fn configure(_: NoSettings, plan: &mut SamplerPlanBuilder) -> Result<Self, Refusal> {
//!         // A trace with an error is decided as soon as the error is there.
//!         plan.early([when("status.code").equals(2)]);
//!         Ok(Self { error: plan.reason("an error"), share: plan.reason("one in ten") })
//!     }
//!
//!     fn decide(&mut self, traces: &Traces<'_>, decisions: &mut Decisions<'_>) -> Result<(), Refusal> {
//!         for trace in traces {
//!             if trace.errors() > 0 {
//!                 decisions.keep(&trace, self.error);
//!             } else {
//!                 decisions.sample(&trace, 0.1, Sampling::Equalizing, self.share);
//!             }
//!         }
//!         Ok(())
//!     }
//! }
//!
//! export_sampler!(KeepErrors);
//!
//! let broken = testing::trace("0000000000000000000000000000000a", [Span::named("a"), Span::named("b").status(2, "")]);
//! let decided = testing::sampler::<KeepErrors>("{}").decide([broken]);
//! assert_eq!(decided.decision(0), Decision::Keep);
//! assert_eq!(decided.reason(0), "an error");
//! ```

mod decisions;
mod plan;
mod traces;

pub use decisions::{Decision, Decisions};
pub use plan::SamplerPlanBuilder;
pub use traces::{Iter, Trace, Traces};

pub use crate::bindings::sampler::contract::{Due, Show};

use std::cell::RefCell;

use serde::de::DeserializeOwned;

use crate::bindings::sampler::contract;
use crate::bindings::types;
use crate::plugin::Refusal;
use crate::settings;
use plan::Declared;

/// A sampler of traces.
///
/// One value of the type is one instance. Instances see different traces at the same time, so whatever all of them must agree on (a
/// rate, a budget) belongs into [`state`](crate::state).
pub trait Sampler: Sized + 'static {
    /// The settings, parsed from the sidecar's `settings` (`{}` without any).
    type Settings: DeserializeOwned;

    /// Called once for each instance, before any trace. Declare here which columns are read and for which reasons traces are kept
    /// and dropped. The same settings must give the same plan.
    fn configure(settings: Self::Settings, plan: &mut SamplerPlanBuilder) -> Result<Self, Refusal>;

    /// Called for traces that are due. A trace that is not decided here is the next sampler's. A refusal counts as a crash, and
    /// the sampler abstains from all of them.
    fn decide(&mut self, traces: &Traces<'_>, decisions: &mut Decisions<'_>) -> Result<(), Refusal>;
}

/// A configured sampler with what it declared.
pub(crate) struct Running<S> {
    sampler: S,
    pub(crate) declared: Declared,
}

impl<S: Sampler> Running<S> {
    pub(crate) fn configure(settings: &str) -> Result<Self, Refusal> {
        let mut plan = SamplerPlanBuilder::default();
        let sampler = S::configure(settings::parse(settings)?, &mut plan)?;
        Ok(Self { sampler, declared: plan.finish() })
    }

    pub(crate) fn decide(
        &mut self,
        traces: &contract::Traces,
        columns: &[types::Column],
    ) -> Result<contract::Decisions, Refusal> {
        let traces = Traces::new(traces, columns);
        let mut decisions = Decisions::new(&self.declared.reasons, traces.len());
        self.sampler.decide(&traces, &mut decisions)?;
        Ok(decisions.into_contract())
    }
}

/// Where [`export_sampler!`](crate::export_sampler) keeps the instance between calls.
#[doc(hidden)]
pub struct Slot<S>(RefCell<Option<Running<S>>>);

impl<S: Sampler> Slot<S> {
    /// A slot before `configure`.
    pub const fn empty() -> Self {
        Self(RefCell::new(None))
    }

    /// The contract's `configure`.
    pub fn configure(&self, settings: &str) -> Result<contract::SamplerPlan, String> {
        let running = Running::<S>::configure(settings)?;
        let plan = running.declared.plan.clone();
        *self.0.borrow_mut() = Some(running);
        Ok(plan)
    }

    /// The contract's `decide`.
    pub fn decide(&self, traces: &contract::Traces, columns: &[types::Column]) -> Result<contract::Decisions, String> {
        match self.0.borrow_mut().as_mut() {
            Some(running) => running.decide(traces, columns).map_err(String::from),
            None => Err("decide was called before configure".to_owned()),
        }
    }
}
