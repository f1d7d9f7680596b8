//! From a verb to an instance, and calls of it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use otlp::columns::{Cells, Column, Entries, Texts, Words};
use otlp::edit::{Constant, Edit, Values};
use pipeline::chain::stage::{Call, Fault, Instance, Program};
use prometheus_client::registry::Registry;
use tracemill_wasm::tables::Access;
use tracemill_wasm::{Component, ConfigureError, Engine, EngineOptions, Metrics, Options, StateStore, WasmProgram};

use crate::guests;

/// One engine for all tests, as in the proxy.
pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(&EngineOptions::default()).expect("an engine"))
}

pub fn probe() -> &'static Component {
    static COMPONENT: OnceLock<Component> = OnceLock::new();
    COMPONENT.get_or_init(|| tracemill_wasm::load(engine(), guests::probe()).expect("a plugin"))
}

pub fn probe_with_wasi() -> &'static Component {
    static COMPONENT: OnceLock<Component> = OnceLock::new();
    COMPONENT.get_or_init(|| tracemill_wasm::load(engine(), guests::probe_with_wasi()).expect("a plugin"))
}

/// A plugin's surroundings.
pub struct Plugin {
    pub options: Options,
    pub state: Arc<StateStore>,
    pub tables: Access,
    pub metrics: Metrics,
    pub registry: Registry,
}

impl Default for Plugin {
    fn default() -> Self {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        Self { options: Options::default(), state: Arc::default(), tables: Access::default(), metrics, registry }
    }
}

impl Plugin {
    pub fn with(options: Options) -> Self {
        Self { options, ..Self::default() }
    }

    pub fn configure(&self, component: &Component, verb: &str) -> Result<WasmProgram, ConfigureError> {
        let settings = format!(r#"{{"do": "{verb}"}}"#);
        let (options, state) = (self.options.clone(), Arc::clone(&self.state));
        component.configure(&settings, options, state, self.tables.clone(), self.metrics.sink("probe"))
    }

    pub fn instance(&self, verb: &str) -> Box<dyn Instance> {
        self.configure(probe(), verb).expect("a program").instantiate().expect("an instance")
    }

    pub fn scrape(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).expect("strings can be written to");
        text
    }
}

/// What a call may take where the deadline is not what is tested: a busy machine is no fault.
const PATIENCE: Duration = Duration::from_secs(10);

pub fn call(rows: u32, columns: &[Arc<Column>]) -> Call<'_> {
    Call { rows, columns, now: 1_700_000_000_000_000_000, deadline: PATIENCE }
}

/// One call of a fresh instance without columns.
pub fn act(verb: &str) -> Result<Vec<Edit>, Fault> {
    Plugin::default().instance(verb).call(call(2, &[]))
}

pub fn texts(of: &[&str]) -> Texts {
    let mut texts = Texts::default();
    for text in of {
        texts.push(text.as_bytes());
    }
    texts
}

pub fn column(cells: Cells) -> Arc<Column> {
    Arc::new(Column { present: Vec::new(), cells })
}

pub fn words(codes: &[u32], of: &[&str]) -> Arc<Column> {
    column(Cells::Words(Words { codes: codes.to_vec(), words: texts(of) }))
}

/// Cells of every layout, for two rows.
pub fn every_layout() -> [Cells; 8] {
    let places = Words { codes: vec![0, 1], words: texts(&["name", "attributes[\"n\"]"]) };
    [
        Cells::Text(texts(&["a", "\u{e4}"])),
        Cells::Words(Words { codes: vec![1, 0], words: texts(&["x", "y"]) }),
        Cells::Integers(vec![i64::MIN, -1]),
        Cells::Floats(vec![f64::INFINITY, -0.5]),
        Cells::Booleans(vec![1, 0]),
        Cells::Ids((0..32).collect()),
        Cells::Bytes(texts(&["\0", "raw"])),
        Cells::Entries(Entries {
            rows: vec![0, 1],
            places,
            values: texts(&["v", ""]),
            kinds: vec![0, 2],
            numbers: vec![0, u64::MAX],
        }),
    ]
}

/// The text that a verb answers in the attribute `probe`.
pub fn answer(edits: &[Edit]) -> &str {
    match edits {
        [Edit::Set { to: Values::Same(Constant::Text(text)), .. }] => text,
        other => panic!("no single text: {other:?}"),
    }
}
