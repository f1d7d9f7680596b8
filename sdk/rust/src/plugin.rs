//! What a plugin is, and the slot that keeps the running one. Knows nothing of how columns are read or edits are made.

use std::cell::RefCell;
use std::fmt;

use serde::de::DeserializeOwned;

use crate::batch::Batch;
use crate::bindings::types;
use crate::edits::Edits;
use crate::plan::{Declared, PlanBuilder};
use crate::settings;

/// A span processor.
///
/// One value of the type is one instance: it sees one batch at a time, and what it keeps in its fields it keeps until
/// the plugin is replaced or fails. Where all instances must agree, use [`state`](crate::state).
pub trait Plugin: Sized + 'static {
    /// The settings, parsed from the sidecar's `settings` (`{}` without any). Use
    /// [`NoSettings`](crate::settings::NoSettings) if there are none, and `#[serde(deny_unknown_fields)]` so that
    /// misspelt keys are refused.
    type Settings: DeserializeOwned;

    /// Called once for each instance, before any span. Declare here what the plugin reads and writes. The same settings
    /// must give the same plan.
    fn configure(settings: Self::Settings, plan: &mut PlanBuilder) -> Result<Self, Refusal>;

    /// Called for each batch of 1 to 4,096 spans. Without edits the spans go on untouched. A refusal counts as a crash:
    /// the host finds the span that causes it and treats it as the plan's [`on_error`](PlanBuilder::on_error) says.
    fn process(&mut self, batch: &Batch<'_>, edits: &mut Edits<'_>) -> Result<(), Refusal>;
}

/// Why a plugin does not want its settings or cannot go on: one sentence, shown to the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(String);

impl Refusal {
    /// A refusal of one settings key, `rules[0].rate` for instance.
    pub fn at(key: &str, problem: impl fmt::Display) -> Self {
        Self(format!("settings.{key}: {problem}"))
    }
}

impl From<Refusal> for String {
    fn from(refusal: Refusal) -> Self {
        refusal.0
    }
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self(message)
    }
}

impl From<&str> for Refusal {
    fn from(message: &str) -> Self {
        Self(message.to_owned())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

/// A configured plugin with what it declared.
pub(crate) struct Running<P> {
    plugin: P,
    pub(crate) declared: Declared,
}

impl<P: Plugin> Running<P> {
    pub(crate) fn configure(settings: &str) -> Result<Self, Refusal> {
        let mut plan = PlanBuilder::default();
        let plugin = P::configure(settings::parse(settings)?, &mut plan)?;
        Ok(Self { plugin, declared: plan.finish() })
    }

    pub(crate) fn process(&mut self, rows: u32, columns: &[types::Column]) -> Result<Vec<types::Edit>, Refusal> {
        let batch = Batch::new(rows, columns);
        let mut edits = Edits::new(&self.declared);
        self.plugin.process(&batch, &mut edits)?;
        Ok(edits.into_list())
    }
}

/// Where [`export_plugin!`](crate::export_plugin) keeps the instance between calls.
#[doc(hidden)]
pub struct Slot<P>(RefCell<Option<Running<P>>>);

impl<P: Plugin> Slot<P> {
    /// A slot before `configure`.
    pub const fn empty() -> Self {
        Self(RefCell::new(None))
    }

    /// The contract's `configure`.
    pub fn configure(&self, settings: &str) -> Result<types::Plan, String> {
        let running = Running::<P>::configure(settings).map_err(|refusal| refusal.0)?;
        let plan = running.declared.plan.clone();
        *self.0.borrow_mut() = Some(running);
        Ok(plan)
    }

    /// The contract's `process`.
    pub fn process(&self, rows: u32, columns: &[types::Column]) -> Result<Vec<types::Edit>, String> {
        match self.0.borrow_mut().as_mut() {
            Some(running) => running.process(rows, columns).map_err(|refusal| refusal.0),
            None => Err("process was called before configure".to_owned()),
        }
    }
}
