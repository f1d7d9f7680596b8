//! The engine: one compiler and one clock for all plugins of the process.
//!
//! Invariant: no Wasm runs without a deadline. The clock is a thread that lives as long as anything that can run: every
//! component, program and instance holds the engine.

use std::sync::Arc;

use wasmtime::component::{Component, Linker};
use wasmtime::{Config, OptLevel};

use crate::cache::{CompileCache, Key};
use crate::check::{self, Checked, LoadError};
use crate::clock::{Clock, Ticker};
use crate::guest;
use crate::host::HostState;
use crate::wasi;

/// How much lower than the rest of the process compilers run.
const NICE: i32 = 10;

/// The settings of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineOptions {
    /// How many threads compile plugins, all together; they run at low priority.
    pub compile_threads: usize,
    /// Whether guests can be interrupted. Only a bench asks what that costs: without it an endless loop is one.
    pub interrupts: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        // All cores: a swap is over sooner, and the priority sees to it that spans go first.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { compile_threads: cores.clamp(1, 4), interrupts: true }
    }
}

/// An engine that cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("the WebAssembly engine cannot be started: {reason}")]
pub struct EngineError {
    /// What the system or wasmtime says.
    reason: String,
}

impl EngineError {
    fn new(reason: &impl std::fmt::Display) -> Self {
        Self { reason: format!("{reason:#}") }
    }
}

/// Compiles and runs plugins. Cheap to clone; the clock ends with the last clone and the last thing made with it.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    wasmtime: wasmtime::Engine,
    /// Links what the contract offers.
    plain: Linker<HostState>,
    /// The same, and the empty shell of WASI.
    with_wasi: Linker<HostState>,
    compilers: rayon::ThreadPool,
    cache: Option<CompileCache>,
    ticker: Ticker,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    /// Starts an engine. One is enough for a process.
    pub fn new(options: &EngineOptions) -> Result<Self, EngineError> {
        Self::with_cache(options, None)
    }

    /// The same with a folder of what was compiled before.
    pub fn with_cache(options: &EngineOptions, cache: Option<CompileCache>) -> Result<Self, EngineError> {
        let wasmtime = wasmtime::Engine::new(&config(options.interrupts)).map_err(|error| EngineError::new(&error))?;
        let (plain, with_wasi) = linkers(&wasmtime).map_err(|error| EngineError::new(&error))?;
        let compilers = rayon::ThreadPoolBuilder::new()
            .num_threads(options.compile_threads.max(1))
            .thread_name(|i| format!("compile-{i}"))
            .start_handler(|_| {
                // Of the calling thread only, on Linux. Where the system forbids it the compiler just runs as the rest does.
                if let Err(error) = rustix::process::nice(NICE) {
                    tracing::debug!(%error, "compilers run at normal priority");
                }
            })
            .build()
            .map_err(|error| EngineError::new(&error))?;
        let weak = wasmtime.weak();
        let tick = move || weak.upgrade().inspect(wasmtime::Engine::increment_epoch).is_some();
        let ticker = Ticker::start(tick).map_err(|error| EngineError::new(&error))?;
        Ok(Self { inner: Arc::new(Inner { wasmtime, plain, with_wasi, compilers, cache, ticker }) })
    }

    /// Looks at a plugin's file as [`check`](crate::check()) does, on the compilers' threads: of large ones that takes some tens of milliseconds.
    pub fn check<'b>(&self, bytes: &'b [u8], limit: usize) -> Result<Checked<'b>, LoadError> {
        self.off_the_data_path(|| check::check(bytes, limit))
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner.wasmtime
    }

    pub(crate) fn linker(&self, wasi: bool) -> &Linker<HostState> {
        if wasi { &self.inner.with_wasi } else { &self.inner.plain }
    }

    pub(crate) fn clock(&self) -> &Clock {
        self.inner.ticker.clock()
    }

    pub(crate) fn cache(&self) -> Option<&CompileCache> {
        self.inner.cache.as_ref()
    }

    /// Keeps what was compiled, when the compilers have nothing better to do: nobody waits for a disk.
    pub(crate) fn keep_soon(&self, key: Key, component: Component) {
        let inner = Arc::clone(&self.inner);
        self.inner.compilers.spawn(move || {
            if let Some(cache) = &inner.cache {
                cache.store(&key, &component);
            }
        });
    }

    /// Runs `work` on the compilers' threads and waits for it.
    pub(crate) fn off_the_data_path<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.inner.compilers.install(work)
    }
}

fn config(interrupts: bool) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(interrupts)
        // Unwind tables cost every load and unload a walk over all others.
        .native_unwind_info(false)
        .gc_support(false)
        .cranelift_opt_level(OptLevel::Speed);
    config
}

fn linkers(engine: &wasmtime::Engine) -> wasmtime::Result<(Linker<HostState>, Linker<HostState>)> {
    let mut plain = Linker::new(engine);
    guest::add_to_linker(&mut plain)?;
    let mut with_wasi = plain.clone();
    wasi::add_to_linker(&mut with_wasi)?;
    Ok((plain, with_wasi))
}

#[cfg(test)]
mod tests;
