//! A guest of any version of the contract that this host runs, called in the newest version's words. What an older one needs beside that
//! stands in a file of its own ([`v0_1`]).

use std::sync::Arc;

use otlp::columns::Column;
use semver::Version;
use smallvec::SmallVec;
use wasmtime::component::{HasSelf, Instance, InstancePre, Linker};
use wasmtime::{AsContextMut, Store};

use crate::bindings::sampler::contract::{Decisions, Traces};
use crate::bindings::sampler::{TraceSampler, TraceSamplerIndices};
use crate::bindings::tracemill::plugin::types::{ColumnParam, Edit};
use crate::bindings::{SpanProcessor, SpanProcessorIndices};
use crate::check::Role;
use crate::host::HostState;
use crate::plan::Answered;
use crate::{lower, v0_1};

/// Where a component exports what the host calls.
pub(crate) enum Indices {
    Newest(SpanProcessorIndices),
    Sampler(TraceSamplerIndices),
    V0_1(v0_1::SpanProcessorIndices),
}

/// An instance's exports.
pub(crate) enum Guest {
    Newest(SpanProcessor),
    Sampler(TraceSampler),
    V0_1(v0_1::SpanProcessor),
}

/// What guests import, of every version. Samplers import what processors do.
pub(crate) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    SpanProcessor::add_to_linker::<_, HasSelf<_>>(linker, |state: &mut HostState| state)?;
    v0_1::SpanProcessor::add_to_linker::<_, HasSelf<_>>(linker, |state: &mut HostState| state)
}

impl Indices {
    /// Of a component of this role that was made for `version`.
    pub fn new(pre: &InstancePre<HostState>, role: Role, version: &Version) -> wasmtime::Result<Self> {
        match (role, version.major, version.minor) {
            (Role::Sampler, ..) => TraceSamplerIndices::new(pre).map(Self::Sampler),
            (Role::Processor, 0, 1) => v0_1::SpanProcessorIndices::new(pre).map(Self::V0_1),
            (Role::Processor, ..) => SpanProcessorIndices::new(pre).map(Self::Newest),
        }
    }

    /// The same in an instance of it.
    pub fn load(&self, store: impl AsContextMut, instance: &Instance) -> wasmtime::Result<Guest> {
        match self {
            Self::Newest(indices) => indices.load(store, instance).map(Guest::Newest),
            Self::Sampler(indices) => indices.load(store, instance).map(Guest::Sampler),
            Self::V0_1(indices) => indices.load(store, instance).map(Guest::V0_1),
        }
    }
}

/// The outer error is a trap, the inner one the guest's own words.
pub(crate) type Answer<T> = wasmtime::Result<Result<T, String>>;

/// What is said to whoever asks a guest for what the other role does.
fn is_no(role: Role) -> String {
    format!("it is no {}", role.name())
}

fn lowered(columns: &[Arc<Column>]) -> SmallVec<[ColumnParam<'_>; 8]> {
    columns.iter().map(|column| lower::column(column)).collect()
}

impl Guest {
    pub fn configure(&self, store: &mut Store<HostState>, settings: &str) -> Answer<Answered> {
        Ok(match self {
            Self::Newest(guest) => guest
                .tracemill_plugin_processor()
                .call_configure(store, settings)?
                .map(|plan| Answered::Processor { plan, names_tables: true }),
            Self::Sampler(guest) => {
                guest.tracemill_plugin_sampler().call_configure(store, settings)?.map(Answered::Sampler)
            }
            Self::V0_1(guest) => guest.tracemill_plugin_processor().call_configure(store, settings)?.map(v0_1::plan),
        })
    }

    pub fn process(&self, store: &mut Store<HostState>, rows: u32, columns: &[Arc<Column>]) -> Answer<Vec<Edit>> {
        match self {
            Self::Newest(guest) => guest.tracemill_plugin_processor().call_process(store, rows, &lowered(columns)),
            Self::Sampler(_) => Ok(Err(is_no(Role::Processor))),
            Self::V0_1(guest) => {
                let columns: SmallVec<[_; 8]> = lowered(columns).iter().map(v0_1::column).collect();
                let answer = guest.tracemill_plugin_processor().call_process(store, rows, &columns)?;
                Ok(answer.map(|edits| edits.into_iter().map(v0_1::edit).collect()))
            }
        }
    }

    pub fn decide(
        &self,
        store: &mut Store<HostState>,
        traces: Traces<'_>,
        columns: &[Arc<Column>],
    ) -> Answer<Decisions> {
        match self {
            Self::Sampler(guest) => guest.tracemill_plugin_sampler().call_decide(store, traces, &lowered(columns)),
            Self::Newest(_) | Self::V0_1(_) => Ok(Err(is_no(Role::Sampler))),
        }
    }
}
