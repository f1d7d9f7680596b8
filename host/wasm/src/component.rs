//! A compiled plugin, not yet configured.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use semver::Version;
use wasmtime::component::InstancePre;

use crate::cache::Key;
use crate::check::{Checked, DEFAULT_SIZE, LoadError, Role, check, is_handover};
use crate::engine::Engine;
use crate::guest::Indices;
use crate::handover;
use crate::host::HostState;

/// A compiled plugin: its code, checked against the contract, its imports resolved. Cheap to clone.
#[derive(Clone)]
pub struct Component {
    pub(crate) inner: Arc<Compiled>,
}

pub(crate) struct Compiled {
    pub(crate) engine: Engine,
    pub(crate) pre: InstancePre<HostState>,
    pub(crate) indices: Indices,
    pub(crate) handover: Option<handover::Exported>,
    pub(crate) wasi: bool,
    role: Role,
    version: Version,
    plugin_version: Option<String>,
    cached: bool,
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component").field("version", &self.inner.version).finish_non_exhaustive()
    }
}

/// Checks and compiles a plugin's file. Blocks for as long as compiling takes (about 2 ms of CPU time for each KiB of code, seconds
/// for Python and JavaScript), so it belongs off the data path and off async tasks.
pub fn load(engine: &Engine, bytes: &[u8]) -> Result<Component, LoadError> {
    check(bytes, DEFAULT_SIZE)?.compile(engine)
}

impl Checked<'_> {
    /// Compiles it on the engine's compiler threads, of which there are few, at low priority; blocks until it is done.
    pub fn compile(self, engine: &Engine) -> Result<Component, LoadError> {
        let handover = self.exports().iter().find(|name| is_handover(name)).cloned();
        let Self { component, wasi, role, version, plugin_version, .. } = self;
        let cache = engine.cache().map(|cache| (cache, Key::of(engine.wasmtime(), &component)));
        let known = cache.as_ref().and_then(|(cache, key)| cache.load(engine.wasmtime(), key));
        let cached = known.is_some();
        let component = match known {
            Some(known) => known,
            None => compile(engine, &component)?,
        };
        if let Some((_, key)) = cache.filter(|_| !cached) {
            engine.keep_soon(key, component.clone());
        }
        let types = |error: wasmtime::Error| LoadError::Types(format!("{error:#}"));
        let pre = engine.linker(wasi).instantiate_pre(&component).map_err(types)?;
        let indices = Indices::new(&pre, role, &version).map_err(types)?;
        let handover = handover.and_then(|interface| handover::Exported::find(&component, &interface));
        let engine = engine.clone();
        let compiled = Compiled { engine, pre, indices, handover, wasi, role, version, plugin_version, cached };
        Ok(Component { inner: Arc::new(compiled) })
    }
}

fn compile(engine: &Engine, component: &[u8]) -> Result<wasmtime::component::Component, LoadError> {
    let compiled = engine.off_the_data_path(|| {
        // A compiler bug that some file finds must not end the process.
        catch_unwind(AssertUnwindSafe(|| wasmtime::component::Component::new(engine.wasmtime(), component)))
    });
    match compiled {
        Ok(compiled) => compiled.map_err(|error| LoadError::Compile(format!("{error:#}"))),
        Err(_) => Err(LoadError::Compile("the compiler failed".to_owned())),
    }
}

impl Component {
    /// Whether it came compiled from the cache.
    #[must_use]
    pub fn is_cached(&self) -> bool {
        self.inner.cached
    }

    /// What it does.
    #[must_use]
    pub fn role(&self) -> Role {
        self.inner.role
    }

    /// Whether its instances hand their memory to the version after it.
    #[must_use]
    pub fn hands_over(&self) -> bool {
        self.inner.handover.is_some()
    }

    /// For which version of the contract it was made.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.inner.version
    }

    /// Which version it says it is itself; see [`Checked::plugin_version`].
    #[must_use]
    pub fn plugin_version(&self) -> Option<&str> {
        self.inner.plugin_version.as_deref()
    }
}
