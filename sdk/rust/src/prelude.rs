//! Everything that a plugin usually names: `use tracemill_sdk::prelude::*;`.

pub use crate::batch::{Batch, Row};
pub use crate::bindings::types::{Affinity, Failure, Mode, Sampling, Value};
pub use crate::edits::{Edits, Rewrites, RowEdits};
pub use crate::export_plugin;
pub use crate::export_sampler;
pub use crate::host::{self, Level};
pub use crate::layout::{Booleans, Bytes, Entries, Floats, Ids, Integers, Str, Text, Words};
pub use crate::path::{self, attribute, resource_attribute, scope_attribute};
pub use crate::pattern::Pattern;
pub use crate::plan::{Column, PlanBuilder, Reason, Source, Target};
pub use crate::plugin::{Plugin, Refusal};
pub use crate::rows::{Mask, Rows};
pub use crate::sampler::{Decision, Decisions, Due, Sampler, SamplerPlanBuilder, Show, Trace, Traces};
pub use crate::settings::NoSettings;
pub use crate::state;
pub use crate::tables::{self, Table};
#[cfg(not(target_arch = "wasm32"))]
pub use crate::testing::{self, Span};
pub use crate::when::{Condition, when};
pub use serde::Deserialize;
