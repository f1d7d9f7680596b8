//! What a plugin is, before anybody runs it on spans: for people who got a file and want to know what it would see and could do.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use otlp::path::Want;
use pipeline::chain::plan::{Affinity, Plan};
use pipeline::chain::stage::Program as _;
use serde::Serialize;
use wasm::tables::Access;
use wasm::{Checked, Engine, Metrics, StateLimits, StateStore};

use super::digest::Digest;
use super::oci::{Puller, Reference};
use super::role::{self, Sampler};
use super::signature::{self, Keys};
use super::{name, scan, sidecar};
use crate::config;
use crate::config::plugins::Defaults;
use crate::config::plugins::oci::Oci;

/// What is to be looked at, and how.
#[derive(Debug)]
pub struct Asked {
    /// A plugin's file, one that says where it is, or that place itself: `oci://…`.
    pub plugin: String,
    /// Who should have signed it.
    pub keys: Keys,
    /// How it is pulled.
    pub oci: Oci,
}

/// A plugin's file, looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// The file.
    pub file: String,
    /// Where it was pulled from, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pulled: Option<String>,
    /// Its stage's name.
    pub stage: String,
    /// Its bytes.
    pub size: u64,
    /// The SHA-256 of its content; its beginning is the version that the status shows.
    pub sha256: String,
    /// Who says that it is theirs.
    pub signature: Signature,
    /// `component`, or `core module` (with a component type).
    pub kind: &'static str,
    /// What it does: `processor` or `sampler`.
    pub role: &'static str,
    /// For which version of the contract it was made.
    pub contract: String,
    /// Which version it says it is itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it imports: all that it can ever reach.
    pub imports: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
    /// The sidecar whose settings were used, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sidecar: Option<String>,
    /// What it wants to see and to do with these settings; none where it does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Shown>,
    /// Why not: the sidecar is wrong, it cannot be compiled, or `configure` refuses or fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What there is of a signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Signature {
    /// There is none.
    None,
    /// There is one, and nobody has said by which key it should be.
    Unverified(signature::Shown),
    /// It is by one of the keys that were named, and about this content.
    Valid(signature::Shown),
    /// It is not.
    Invalid {
        /// Why, for people.
        why: String,
    },
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
    /// Whether it may drop, sample and weigh, as all samplers may.
    pub may_drop: bool,
    /// The lookup tables that it asks; of a plugin of contract 0.1, which names none, `any`.
    pub tables: Vec<String>,
    /// Which spans it is about: any of these lists, all of its conditions; none means every span.
    pub when: Vec<Vec<String>>,
    /// Which instance sees a span: `any`, `trace` or `one`.
    pub affinity: &'static str,
    /// What becomes of spans on which it fails: `pass`, `drop` or `reject`.
    pub on_error: &'static str,
    /// What it sees and is asked about, if it is a sampler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampler: Option<Sampler>,
}

/// Where a plugin is, and its bytes.
struct Source {
    /// Its file in a folder; none for a place in a registry.
    file: Option<PathBuf>,
    pulled: Option<Reference>,
    stem: String,
    content: Vec<u8>,
}

impl Source {
    fn read(asked: &Asked) -> Result<Self, String> {
        let pull = |reference: &Reference| Puller::default().get(reference, &asked.oci).map_err(|why| why.to_string());
        if Reference::is_meant(&asked.plugin) {
            let reference = Reference::read(&asked.plugin)?;
            let (content, stem) = (pull(&reference)?, reference.name().to_owned());
            return Ok(Self { file: None, pulled: Some(reference), stem, content });
        }
        let file = PathBuf::from(&asked.plugin);
        let content = scan::read(&file)?;
        let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        if !name::is_remote(&asked.plugin) {
            return Ok(Self { file: Some(file), pulled: None, stem, content });
        }
        let reference = Reference::of_file(&content)?;
        Ok(Self { file: Some(file), content: pull(&reference)?, pulled: Some(reference), stem })
    }

    fn signature(&self, keys: &Keys) -> Result<Signature, String> {
        let named = name::signature_of(&self.stem);
        let beside = self.file.as_ref().map(|file| file.with_file_name(&named)).filter(|path| path.exists());
        let Some(path) = beside else { return Ok(Signature::None) };
        let bytes = scan::read(&path).map_err(|why| format!("{}: {why}", path.display()))?;
        let judged = if keys.are_asked_for() {
            keys.verify(&self.content, &named, &bytes).map(|signed| Signature::Valid(signed.shown()))
        } else {
            signature::claimed(&named, &bytes).map(Signature::Unverified)
        };
        Ok(judged.unwrap_or_else(|why| Signature::Invalid { why }))
    }
}

/// Looks at a plugin: checks and compiles it, and has it configured with its sidecar's settings, under the limits that it would have.
/// Answers why it is no plugin, for people. What its signature is worth, and why it plans nothing, is answered, and stops nothing.
pub fn inspect(asked: &Asked) -> Result<Inspection, String> {
    let said = |why: &dyn std::fmt::Display| format!("{}: {why}", asked.plugin);
    let source = Source::read(asked).map_err(|why| said(&why))?;
    let signature = source.signature(&asked.keys)?;
    let Source { file, pulled, stem, content } = source;
    let checked = wasm::check(&content, scan::LARGEST as usize).map_err(|why| said(&why))?;
    let contract = checked.version().to_string();
    let version = checked.plugin_version().map(str::to_owned);
    let (imports, exports) = (checked.imports().to_vec(), checked.exports().to_vec());
    let role = checked.role().name();
    let kind = if checked.is_module() { "core module" } else { "component" };
    let sidecars = file.iter().flat_map(|file| ["yaml", "yml"].map(|ending| file.with_extension(ending)));
    let beside = sidecars.into_iter().find(|path| path.exists());
    let stage = name::stage_of(&stem).to_owned();
    let (plan, error) = match plan(checked, &stage, beside.as_deref()) {
        Ok(plan) => (Some(plan), None),
        Err(why) => (None, Some(why)),
    };
    Ok(Inspection {
        file: asked.plugin.clone(),
        pulled: pulled.filter(|_| file.is_some()).map(|reference| reference.to_string()),
        stage,
        size: content.len() as u64,
        sha256: Digest::of(&content).whole(),
        signature,
        kind,
        role,
        contract,
        version,
        imports,
        exports,
        sidecar: beside.map(|path| path.display().to_string()),
        plan,
        error,
    })
}

/// What a plugin plans with the settings of a sidecar.
fn plan(checked: Checked, stage: &str, sidecar: Option<&Path>) -> Result<Shown, String> {
    let (shown, text) = match sidecar {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()))?;
            (path.display().to_string(), text)
        }
        None => (String::new(), String::new()),
    };
    let sidecar = sidecar::read(&shown, &text, &Defaults::default(), &config::env::process);
    let sidecar = sidecar.map_err(|report| report.to_string())?;
    let suits = sidecar::suits(checked.role(), &shown, &text, &Defaults::default(), &config::env::process);
    suits.map_err(|report| report.to_string())?;
    let engine = Engine::new(&wasm::EngineOptions::default()).map_err(|why| why.to_string())?;
    let component = checked.compile(&engine).map_err(|why| why.to_string())?;
    let options = sidecar.limits.options(sidecar.memory);
    let state = Arc::new(StateStore::new(StateLimits::default()));
    let sink = Metrics::default().sink(stage);
    // There are no tables here: what a plugin asks of them is not what it plans.
    let program = component.configure(&sidecar.settings, options, state, Access::default(), sink);
    let mut plan = Shown::of(program.map_err(|why| why.to_string())?.plan());
    if let Some(word) = sidecar.on_error {
        plan.on_error = word.name();
    }
    Ok(plan)
}

impl Shown {
    fn of(plan: &Plan) -> Self {
        let column = |want: &Want| format!("{} as {}", want.path, want.layout);
        Self {
            columns: plan.columns.iter().map(column).collect(),
            reads: plan.reads.iter().map(ToString::to_string).collect(),
            writes: plan.writes.iter().map(ToString::to_string).collect(),
            may_drop: plan.may_drop || plan.sampler.is_some(),
            tables: plan.tables.clone().unwrap_or_else(|| vec!["any".to_owned()]),
            when: role::conditions(&plan.when),
            affinity: match plan.affinity {
                Affinity::Any => "any",
                Affinity::Trace => "trace",
                Affinity::One => "one",
            },
            on_error: plan.on_error.name(),
            sampler: Sampler::of(plan),
        }
    }
}
