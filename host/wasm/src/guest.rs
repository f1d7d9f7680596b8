//! A guest of any version of the contract that this host runs, called in the newest version's words. What an older one needs beside that
//! stands in a file of its own ([`v0_1`]).

use std::sync::Arc;

use otlp::columns::Column;
use semver::Version;
use smallvec::SmallVec;
use wasmtime::component::{HasSelf, Instance, InstancePre, Linker};
use wasmtime::{AsContextMut, Store};

use crate::bindings::tracemill::plugin::types::Edit;
use crate::bindings::{SpanProcessor, SpanProcessorIndices};
use crate::host::HostState;
use crate::plan::Answered;
use crate::{lower, v0_1};

/// Where a component exports what the host calls.
pub(crate) enum Indices {
    Newest(SpanProcessorIndices),
    V0_1(v0_1::SpanProcessorIndices),
}

/// An instance's exports.
pub(crate) enum Guest {
    Newest(SpanProcessor),
    V0_1(v0_1::SpanProcessor),
}

/// What guests import, of every version.
pub(crate) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    SpanProcessor::add_to_linker::<_, HasSelf<_>>(linker, |state: &mut HostState| state)?;
    v0_1::SpanProcessor::add_to_linker::<_, HasSelf<_>>(linker, |state: &mut HostState| state)
}

impl Indices {
    /// Of a component that was made for `version`.
    pub fn new(pre: &InstancePre<HostState>, version: &Version) -> wasmtime::Result<Self> {
        match (version.major, version.minor) {
            (0, 1) => v0_1::SpanProcessorIndices::new(pre).map(Self::V0_1),
            _ => SpanProcessorIndices::new(pre).map(Self::Newest),
        }
    }

    /// The same in an instance of it.
    pub fn load(&self, store: impl AsContextMut, instance: &Instance) -> wasmtime::Result<Guest> {
        match self {
            Self::Newest(indices) => indices.load(store, instance).map(Guest::Newest),
            Self::V0_1(indices) => indices.load(store, instance).map(Guest::V0_1),
        }
    }
}

/// The outer error is a trap, the inner one the guest's own words.
type Answer<T> = wasmtime::Result<Result<T, String>>;

impl Guest {
    pub fn configure(&self, store: &mut Store<HostState>, settings: &str) -> Answer<Answered> {
        Ok(match self {
            Self::Newest(guest) => guest
                .tracemill_plugin_processor()
                .call_configure(store, settings)?
                .map(|plan| Answered { plan, names_tables: true }),
            Self::V0_1(guest) => guest.tracemill_plugin_processor().call_configure(store, settings)?.map(v0_1::plan),
        })
    }

    pub fn process(&self, store: &mut Store<HostState>, rows: u32, columns: &[Arc<Column>]) -> Answer<Vec<Edit>> {
        let lowered: SmallVec<[_; 8]> = columns.iter().map(|column| lower::column(column)).collect();
        match self {
            Self::Newest(guest) => guest.tracemill_plugin_processor().call_process(store, rows, &lowered),
            Self::V0_1(guest) => {
                let columns: SmallVec<[_; 8]> = lowered.iter().map(v0_1::column).collect();
                let answer = guest.tracemill_plugin_processor().call_process(store, rows, &columns)?;
                Ok(answer.map(|edits| edits.into_iter().map(v0_1::edit).collect()))
            }
        }
    }
}
