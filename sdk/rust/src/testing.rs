//! The native test harness: runs a plugin under plain `cargo test`, without WebAssembly and without a proxy.
//!
//! It does what the host does, by the contract: shows the plan's columns of the spans that meet its conditions, applies
//! the edits in order, refuses edits that the contract refuses, and answers the host's functions. It is written for
//! clarity; the host is written for speed, and golden cases ([`Plugin::golden`]) are run through both.
//!
//! ```
//! # use tracemill_sdk::prelude::*;
//! # struct Nothing;
//! # impl Plugin for Nothing {
//! #     type Settings = NoSettings;
//! #     fn configure(_: NoSettings, _: &mut PlanBuilder) -> Result<Self, Refusal> { Ok(Self) }
//! #     fn process(&mut self, _: &Batch, _: &mut Edits) -> Result<(), Refusal> { Ok(()) }
//! # }
//! let mut plugin = testing::plugin::<Nothing>("{}");
//! let run = plugin.run([Span::named("GET /users").attribute("http.route", "/users").kind(2)]);
//! assert!(run.is_untouched(0));
//! ```

mod apply;
mod case;
mod columns;
mod model;
mod place;
mod sampler;
mod sampling;
mod span;
pub(crate) mod stub;
mod trace;
mod trace_case;
mod when;

pub use case::{Case, Expected};
pub use sampler::{Decided, Sampler, refused_sampler, sampler};
pub use span::{Attributes, Event, Link, Request, Resource, Scope, Span, Status, Value};
pub use trace::{Gathered, trace};
pub use trace_case::{CaseTrace, TraceCase, TraceFate, Undecided, golden_traces};

use std::path::Path;

use crate::bindings::types;
use crate::host::Level;
use crate::plugin::{Plugin as Processor, Running};

/// Rows of one call, as the contract bounds them.
const MOST_ROWS: usize = 4096;

/// Configures a plugin for tests. Panics if it refuses its settings; see [`refusal`] for those tests.
pub fn plugin<P: Processor>(settings: &str) -> Plugin<P> {
    match Plugin::configure(settings) {
        Ok(plugin) => plugin,
        Err(refusal) => panic!("the plugin refuses its settings: {refusal}"),
    }
}

/// Why a plugin refuses these settings. Panics if it takes them.
pub fn refusal<P: Processor>(settings: &str) -> String {
    match Plugin::<P>::configure(settings) {
        Ok(_) => panic!("the plugin takes these settings: {settings}"),
        Err(refusal) => refusal,
    }
}

/// A configured plugin with a host of its own.
pub struct Plugin<P> {
    running: Running<P>,
    host: stub::Host,
}

impl<P: Processor> Plugin<P> {
    /// Configures a plugin; the error is what the operator would see.
    pub fn configure(settings: &str) -> Result<Self, String> {
        let mut host = stub::Host::default();
        let running = host.during(|| Running::configure(settings)).map_err(|refusal| refusal.to_string())?;
        place::check_plan(&running.declared.plan)?;
        Ok(Self { running, host })
    }

    /// The plan that the plugin declared.
    pub fn plan(&self) -> &types::Plan {
        &self.running.declared.plan
    }

    /// Sets the clock that [`host::now`](crate::host::now) shows, in nanoseconds since the Unix epoch.
    pub fn set_now(&mut self, nanoseconds: u64) {
        self.host.now = nanoseconds;
    }

    /// Gives the host a lookup table, or another in its place; each row is a key with named fields.
    pub fn set_table<'a>(
        &mut self,
        name: &str,
        rows: impl IntoIterator<Item = (&'a str, Vec<(&'a str, Value)>)>,
    ) -> &mut Self {
        self.host.set_table(name, rows);
        self
    }

    /// Takes a lookup table away, as one that is not configured any more.
    pub fn forget_table(&mut self, name: &str) -> &mut Self {
        self.host.forget_table(name);
        self
    }

    /// A value of the plugin's shared state.
    pub fn state(&self, key: &str) -> Option<Vec<u8>> {
        self.host.state_value(key)
    }

    /// Runs spans through the plugin. Panics if the plugin or one of its edits fails; see [`try_run`](Self::try_run).
    pub fn run(&mut self, spans: impl IntoIterator<Item = Span>) -> Run {
        match self.try_run(spans) {
            Ok(run) => run,
            Err(error) => panic!("the plugin fails: {error}"),
        }
    }

    /// Runs spans through the plugin. The error is the plugin's own, or says which edit the host would refuse.
    pub fn try_run(&mut self, spans: impl IntoIterator<Item = Span>) -> Result<Run, String> {
        let before: Vec<Span> = spans.into_iter().collect();
        let mut batch = model::Batch::load(&before);
        let shown = when::matching_rows(&batch, &self.running.declared.plan.when)?;
        self.host.begin_call();
        for rows in shown.chunks(MOST_ROWS) {
            let plan = &self.running.declared.plan;
            let slice = columns::Slice::build(&batch, rows, &[], &plan.columns)?;
            let running = &mut self.running;
            let edits = self.host.during(|| running.process(rows.len() as u32, &slice.columns));
            let edits = edits.map_err(|refusal| refusal.to_string())?;
            apply::apply(&mut batch, &slice, &self.running.declared.plan, edits)?;
        }
        let rows =
            before.into_iter().zip(batch.unload()).map(|(before, (after, reason))| Fate { before, after, reason });
        Ok(Run { fates: rows.collect(), shown, logs: self.host.take_logs(), counts: self.host.take_counts() })
    }

    /// Runs every case in a folder of `*.json` files (see [`Case`]) and panics with all that differ. The plugin itself is
    /// configured anew by each case.
    pub fn golden(folder: impl AsRef<Path>) {
        case::run_folder::<P>(folder.as_ref());
    }
}

/// Runs every case in a folder of `*.json` files and panics with all that differ.
pub fn golden<P: Processor>(folder: impl AsRef<Path>) {
    Plugin::<P>::golden(folder);
}

/// What a plugin did to spans.
#[derive(Debug)]
pub struct Run {
    fates: Vec<Fate>,
    shown: Vec<usize>,
    logs: Vec<(Level, String)>,
    counts: Vec<(String, u64)>,
}

/// What became of one span.
#[derive(Debug)]
struct Fate {
    before: Span,
    after: Span,
    reason: Option<String>,
}

impl Run {
    /// How many spans there were.
    pub fn len(&self) -> usize {
        self.fates.len()
    }

    /// True if there were none.
    pub fn is_empty(&self) -> bool {
        self.fates.is_empty()
    }

    /// The span as it goes on; none if it was dropped.
    pub fn span(&self, index: usize) -> Option<&Span> {
        let fate = &self.fates[index];
        fate.reason.is_none().then_some(&fate.after)
    }

    /// The spans that go on, in order.
    pub fn spans(&self) -> impl Iterator<Item = &Span> {
        self.fates.iter().filter(|fate| fate.reason.is_none()).map(|fate| &fate.after)
    }

    /// Why a span was dropped; none if it goes on.
    pub fn dropped_because(&self, index: usize) -> Option<&str> {
        self.fates[index].reason.as_deref()
    }

    /// How many spans were dropped.
    pub fn dropped(&self) -> usize {
        self.fates.iter().filter(|fate| fate.reason.is_some()).count()
    }

    /// True if the span goes on exactly as it came.
    pub fn is_untouched(&self, index: usize) -> bool {
        let fate = &self.fates[index];
        fate.reason.is_none() && fate.before == fate.after
    }

    /// True if the span met the plan's conditions, so that the plugin saw it.
    pub fn was_shown(&self, index: usize) -> bool {
        self.shown.contains(&index)
    }

    /// The log lines of the run.
    pub fn logs(&self) -> &[(Level, String)] {
        &self.logs
    }

    /// What a counter of the plugin was counted up by.
    pub fn count(&self, name: &str) -> u64 {
        self.counts.iter().filter(|(counted, _)| counted == name).map(|(_, by)| by).sum()
    }
}
