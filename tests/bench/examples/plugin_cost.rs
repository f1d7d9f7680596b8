//! What the official plugins cost, step by step, without sockets: real spans, the real host, the real Wasm.
//!
//! `cargo xtask plugins`, then `cargo run --release -p tracemill-bench --example plugin_cost -- [FOLDER [NAME]]`: FOLDER holds the
//! plugins (`target/plugins`), NAME narrows the cases. Nanoseconds for each span of the batch, best of many rounds.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "it is what it is for")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use harness::spans::{Generator, Mix, Profile};
use otlp::batch::{Batch, Incoming, RequestContext};
use otlp::columns::cache::Cache;
use otlp::condition::Filter;
use otlp::edit::apply::apply;
use otlp::edit::check::check;
use otlp::edit::permissions::Permissions;
use pipeline::chain::stage::{Call, Instance, Program as _};
use prost::Message as _;
use wasm::tables::Access;
use wasm::{Engine, EngineOptions, Metrics, Options, StateStore, WasmProgram, load};

/// Spans of a request, different requests, and how often each is measured.
const SPANS: usize = 512;
const REQUESTS: u64 = 10;
const ROUNDS: usize = 60;

const ONLY_EMAIL: &str = r#"{"keys": [], "detectors": {"card": false, "iban": false, "phone": false, "ipv4": false,
    "ipv6": false, "jwt": false, "token": false, "url_password": false, "sql": false, "query": false}}"#;
const CONSTANT: &str = r#"{"attributes": {"cloud.region": "eu-central-1"}}"#;
const HALF: &str = r#"{"rate": 0.5, "keep": {"errors": false}}"#;

/// The steps of a call, as the chain makes them.
const STEPS: [&str; 7] = ["select", "columns", "call", "check", "apply", "encode", "all"];

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| "target/plugins".to_owned());
    let only = arguments.next().unwrap_or_default();
    let engine = Engine::new(&EngineOptions::default())?;
    let used =
        ["code.function.name", "code.line.number", "network.peer.address", "server.port", "thread.id", "url.scheme"];
    let renames = (0..40).map(|i| used.get(i).map_or(format!("old.name.{i}"), |&name| name.to_owned()));
    let renames: Vec<_> = renames.map(|old| format!(r#"{{"from": "{old}", "to": "renamed.{old}"}}"#)).collect();
    let renames = format!(r#"{{"rename": [{}]}}"#, renames.join(","));
    let cases = [
        ("drop-health", "drop-health", "{}"),
        ("scrub-pii", "scrub-pii", "{}"),
        ("scrub-pii, e-mail only", "scrub-pii", ONLY_EMAIL),
        ("enrich, 40 renames", "enrich", &renames),
        ("enrich, one constant", "enrich", CONSTANT),
        ("sample, half", "sample", HALF),
        ("sample, defaults", "sample", "{}"),
    ];
    print!("{:<26}", "ns a span");
    for step in STEPS {
        print!("{step:>9}");
    }
    println!();
    for (mix, what) in [(Mix::PLAIN, "plain"), (Mix::default(), "mixed")] {
        let requests: Vec<_> = (0..REQUESTS).map(|seed| request(seed, mix)).collect();
        for (name, plugin, settings) in cases.iter().filter(|case| case.0.contains(&only)) {
            let file = Path::new(&folder).join(format!("{plugin}.wasm"));
            let bytes = std::fs::read(&file).with_context(|| format!("{} is missing", file.display()))?;
            let sink = Metrics::default().sink(plugin);
            let state = Arc::new(StateStore::default());
            let (options, tables) = (Options::default(), Access::default());
            let program = load(&engine, &bytes)?.configure(settings, options, state, tables, sink)?;
            let costs = Case::new(&program)?.measure(&requests)?;
            print!("{:<26}", format!("{name} ({what})"));
            for cost in costs {
                print!("{cost:>9.1}");
            }
            println!();
        }
    }
    Ok(())
}

fn request(seed: u64, mix: Mix) -> Incoming {
    let made = Generator::new(Profile::Medium, seed).mix(mix).request(SPANS);
    Incoming { body: made.request.encode_to_vec().into(), context: Arc::new(RequestContext::default()) }
}

/// One plugin, ready to be called.
struct Case<'p> {
    program: &'p WasmProgram,
    filter: Filter,
    permissions: Permissions,
    instance: Box<dyn Instance>,
    batch: Batch,
    cache: Cache,
}

impl<'p> Case<'p> {
    fn new(program: &'p WasmProgram) -> Result<Self> {
        let plan = program.plan();
        let conditions = plan.when.iter().flatten().map(|condition| &condition.path);
        Ok(Self {
            filter: Filter::compile(&plan.when)?,
            permissions: Permissions::new(&plan.columns, &plan.reads, conditions, &plan.writes, plan.may_drop),
            instance: program.instantiate()?,
            program,
            batch: Batch::new(),
            cache: Cache::default(),
        })
    }

    /// The steps' costs: the mean over the requests of the best of each.
    fn measure(&mut self, requests: &[Incoming]) -> Result<[f64; STEPS.len()]> {
        let mut best = vec![[f64::INFINITY; STEPS.len()]; requests.len()];
        for _ in 0..ROUNDS {
            for (request, best) in requests.iter().zip(&mut best) {
                let took = self.once(request)?;
                best.iter_mut().zip(took).for_each(|(best, took)| *best = best.min(took));
            }
        }
        let mean = |step: usize| best.iter().map(|costs| costs[step]).sum::<f64>() / requests.len() as f64;
        Ok(std::array::from_fn(mean))
    }

    fn once(&mut self, request: &Incoming) -> Result<[f64; STEPS.len()]> {
        for outcome in self.batch.load(std::slice::from_ref(request)) {
            outcome?;
        }
        self.cache.clear();
        let all: Vec<u32> = (0..self.batch.rows()).collect();
        let mut took = [Duration::ZERO; STEPS.len()];
        let started = Instant::now();
        let mut at = started;
        let mut step = |number: usize| {
            let now = Instant::now();
            took[number] += now - at;
            at = now;
        };
        let mut selected = Vec::new();
        if self.filter.is_every() {
            selected.extend_from_slice(&all);
        } else {
            self.filter.select(&self.batch, &all, &mut selected);
        }
        step(0);
        if !selected.is_empty() {
            let shown = self.cache.show(&self.batch, &selected, &self.program.plan().columns);
            step(1);
            let deadline = Duration::from_millis(50);
            let call = Call { rows: selected.len() as u32, columns: &shown.columns, now: 0, deadline };
            let edits = self.instance.call(call)?;
            step(2);
            check(&self.batch, &shown, &self.permissions, &edits)?;
            self.instance.settle(true);
            step(3);
            let applied = apply(&mut self.batch, &shown, &edits);
            self.cache.invalidate(&applied.written);
            step(4);
        }
        std::hint::black_box(otlp::encode::encode(&self.batch));
        step(5);
        took[6] = started.elapsed();
        Ok(took.map(|took| took.as_secs_f64() * 1e9 / SPANS as f64))
    }
}
