//! What a plugin is, before anybody runs it on spans: for people who got a file and want to know what it would see and could do.

use std::path::Path;
use std::sync::Arc;

use otlp::path::Want;
use pipeline::chain::plan::{Affinity, Plan};
use pipeline::chain::stage::Program as _;
use serde::Serialize;
use wasm::{Engine, Metrics, StateLimits, StateStore};

use super::digest::Digest;
use super::sidecar;
use super::{name, scan};
use crate::config;
use crate::config::plugins::Defaults;

/// A plugin's file, looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// The file.
    pub file: String,
    /// Its stage's name.
    pub stage: String,
    /// Its bytes.
    pub size: u64,
    /// The SHA-256 of its content; its beginning is the version that the status shows.
    pub sha256: String,
    /// `component`, or `core module` (with a component type).
    pub kind: &'static str,
    /// For which version of the contract it was made.
    pub contract: String,
    /// What it imports: all that it can ever reach.
    pub imports: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
    /// The sidecar whose settings were used, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sidecar: Option<String>,
    /// What it wants to see and to do with these settings.
    pub plan: Shown,
}

/// A plan, for people.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    /// The columns that it is shown: path and layout.
    pub columns: Vec<String>,
    /// What its edits may read beside them.
    pub reads: Vec<String>,
    /// What its edits may write.
    pub writes: Vec<String>,
    /// Whether it may drop, sample and weigh.
    pub may_drop: bool,
    /// Which spans it is about: any of these lists, all of its conditions; none means every span.
    pub when: Vec<Vec<String>>,
    /// Which instance sees a span: `any`, `trace` or `one`.
    pub affinity: &'static str,
    /// What becomes of spans on which it fails: `pass`, `drop` or `reject`.
    pub on_error: &'static str,
}

/// Looks at a file: checks and compiles it, and has it configured with its sidecar's settings, under the limits that it would have.
/// Answers why that fails, for people.
pub fn inspect(file: &Path) -> Result<Inspection, String> {
    let said = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
    let content = scan::read(file).map_err(|why| said(&why))?;
    let checked = wasm::check(&content, scan::LARGEST as usize).map_err(|why| said(&why))?;
    let contract = checked.version().to_string();
    let (imports, exports) = (checked.imports().to_vec(), checked.exports().to_vec());
    let kind = if checked.is_module() { "core module" } else { "component" };
    let beside = ["yaml", "yml"].map(|ending| file.with_extension(ending)).into_iter().find(|path| path.exists());
    let (shown, text) = match &beside {
        Some(path) => (
            path.display().to_string(),
            std::fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()))?,
        ),
        None => (String::new(), String::new()),
    };
    let sidecar = sidecar::read(&shown, &text, &Defaults::default(), &config::env::process)
        .map_err(|report| report.to_string())?;
    let engine = Engine::new(&wasm::EngineOptions::default()).map_err(|why| said(&why))?;
    let component = checked.compile(&engine).map_err(|why| said(&why))?;
    let options = sidecar.limits.options(sidecar.memory);
    let state = Arc::new(StateStore::new(StateLimits::default()));
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let stage = name::stage_of(&stem).to_owned();
    let program = component.configure(&sidecar.settings, options, state, Metrics::default().sink(&stage));
    let program = program.map_err(|why| said(&why))?;
    let mut plan = Shown::of(program.plan());
    if let Some(word) = sidecar.on_error {
        plan.on_error = word.name();
    }
    Ok(Inspection {
        file: file.display().to_string(),
        stage,
        size: content.len() as u64,
        sha256: Digest::of(&content).whole(),
        kind,
        contract,
        imports,
        exports,
        sidecar: beside.map(|path| path.display().to_string()),
        plan,
    })
}

impl Shown {
    fn of(plan: &Plan) -> Self {
        let column = |want: &Want| format!("{} as {}", want.path, want.layout);
        Self {
            columns: plan.columns.iter().map(column).collect(),
            reads: plan.reads.iter().map(ToString::to_string).collect(),
            writes: plan.writes.iter().map(ToString::to_string).collect(),
            may_drop: plan.may_drop,
            when: plan.when.iter().map(|all| all.iter().map(ToString::to_string).collect()).collect(),
            affinity: match plan.affinity {
                Affinity::Any => "any",
                Affinity::Trace => "trace",
                Affinity::One => "one",
            },
            on_error: plan.on_error.name(),
        }
    }
}
