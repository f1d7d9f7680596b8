//! Tail sampling, as each side is told of it.

use std::time::Duration;

use anyhow::{Result, bail};
use harness::plugins;
use harness::ports::FreePorts;
use harness::proxy::Setup;
use serde_json::{Value, json};

/// How long traces wait on both sides.
const WAIT: Duration = Duration::from_secs(5);
/// How many times the traces that wait the Collector has room for: those that it has decided stay until others take their place.
const ROOM: f64 = 2.0;

/// How whole traces are decided.
#[derive(Debug, Clone, Copy)]
pub struct Tail {
    /// Who decides.
    pub sampling: Sampling,
    /// How long tracemill waits.
    pub waits: Waits,
    /// New traces each second: the Collector is told how many to expect, and how many it may hold.
    pub traces: f64,
    /// What tracemill's buffer may take, in bytes; its default otherwise.
    pub memory: Option<u64>,
}

/// Who decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    /// Errors, slow traces and 5 % of the rest: the same block for both.
    Policies,
    /// A sampler that sees nothing and drops all; tracemill alone.
    DropAll,
}

/// How long tracemill waits for a trace's spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// As the Collector does.
    Alike,
    /// As it does by itself.
    Own,
}

/// What stands under `policies` on both sides.
fn policies() -> Value {
    json!([
        { "name": "errors", "type": "status_code", "status_code": { "status_codes": ["ERROR"] } },
        { "name": "slow", "type": "latency", "latency": { "threshold_ms": 1000 } },
        { "name": "rest", "type": "probabilistic", "probabilistic": { "sampling_percentage": 5 } },
    ])
}

impl Tail {
    pub(super) fn of_tracemill(&self, mut setup: Setup) -> Result<Setup> {
        if self.waits == Waits::Alike {
            let wait = format!("{}s", WAIT.as_secs());
            for clock in ["root_delay", "idle", "longest"] {
                setup = setup.set(&format!("tail.{clock}"), wait.clone());
            }
        }
        if let Some(memory) = self.memory {
            setup = setup.set("tail.memory", format!("{memory}B"));
        }
        match self.sampling {
            Sampling::Policies => setup
                .plugin("95-tail-sample", "tail-sample")?
                .sidecar("95-tail-sample", &json!({ "settings": { "policies": policies() } })),
            Sampling::DropAll => setup
                .file("95-picks.wasm", &std::fs::read(plugins::guest("picks")?)?)?
                .sidecar("95-picks", &json!({ "settings": { "do": "drop" } })),
        }
    }

    /// Answers where its metrics are: what it loses is told nowhere else.
    pub(super) fn of_collector(&self, config: &mut Value) -> Result<String> {
        if self.sampling == Sampling::DropAll {
            bail!("the Collector has no such sampler");
        }
        let room = self.traces * WAIT.as_secs_f64() * ROOM;
        config["processors"]["tail_sampling"] = json!({
            "decision_wait": format!("{}s", WAIT.as_secs()),
            "num_traces": room.ceil() as u64,
            "expected_new_traces_per_sec": self.traces.ceil() as u64,
            "policies": policies(),
        });
        // Batches behind it: it makes small ones of its own.
        config["service"]["pipelines"]["traces"]["processors"] = json!(["tail_sampling", "batch"]);
        // Let go of at once: nothing else is started beside it, and the Collector's own two are hardly the same.
        let [port] = FreePorts::hold()?.numbers;
        let reader = json!({ "pull": { "exporter": { "prometheus": { "host": "127.0.0.1", "port": port } } } });
        config["service"]["telemetry"]["metrics"] = json!({ "level": "normal", "readers": [reader] });
        Ok(format!("http://127.0.0.1:{port}/metrics"))
    }
}
