//! What the host offers to a guest: the contract's `host` and `state`.
//!
//! Invariant: nothing here panics on what a guest passes, and nothing keeps more of it than the journal's and the state's
//! bounds. An answer that the contract has no words for is a trap.

use std::time::Instant;

use otlp::columns::Texts;
use tracing::Level;

use crate::bindings::tracemill::plugin::{host, state, types};
use crate::deadline::Deadline;
use crate::journal::Journal;
use crate::limiter::Limiter;
use crate::state::StateError;
use crate::tables::{Field, Finder};
use crate::wasi::Shell;
use crate::{lower, plan};

/// What belongs to one instance, beside its memory.
pub(crate) struct HostState {
    pub(crate) limiter: Limiter,
    pub(crate) deadline: Deadline,
    pub(crate) journal: Journal,
    /// What `find` asks.
    pub(crate) tables: Finder,
    /// What `now` answers.
    pub(crate) now: u64,
    /// For guests that import WASI.
    pub(crate) shell: Option<Box<Shell>>,
}

impl HostState {
    /// What is written to stdout and stderr joins the log.
    pub(crate) fn collect_output(&mut self) {
        if let Some(shell) = &mut self.shell {
            shell.collect(&mut self.journal);
        }
    }
}

impl types::Host for HostState {}

impl host::Host for HostState {
    fn log(&mut self, level: host::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            host::Level::Debug => Level::DEBUG,
            host::Level::Info => Level::INFO,
            host::Level::Warn => Level::WARN,
            host::Level::Error => Level::ERROR,
        };
        self.journal.log(level, message);
        Ok(())
    }

    fn count(&mut self, name: String, by: u64) -> wasmtime::Result<()> {
        self.journal.count(name, by);
        Ok(())
    }

    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.now)
    }

    fn find(
        &mut self,
        table: String,
        fields: Vec<host::Field>,
        keys: host::Texts,
    ) -> wasmtime::Result<Result<Vec<host::Column>, String>> {
        let field = |field: host::Field| Field { name: field.name, layout: plan::layout(field.layout) };
        let fields: Vec<Field> = fields.into_iter().map(field).collect();
        let keys = Texts { offsets: keys.offsets, data: keys.data };
        let answer = self.tables.find(&table, &fields, &keys);
        Ok(answer.map(|columns| columns.into_iter().map(lower::owned).collect()).map_err(|error| error.to_string()))
    }
}

impl state::Host for HostState {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<state::Versioned>> {
        Ok(self.journal.state().get(&key).map(|(version, value)| state::Versioned { version, value }))
    }

    fn put(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), String>> {
        Ok(self.journal.state().put(&key, value).map_err(|error| error.to_string()))
    }

    fn replace(&mut self, key: String, version: u64, value: Vec<u8>) -> wasmtime::Result<Result<bool, String>> {
        Ok(self.journal.state().replace(&key, version, value).map_err(|error| error.to_string()))
    }

    fn add(&mut self, key: String, by: i64) -> wasmtime::Result<Result<i64, String>> {
        if let Err(full) = self.journal.can_undo(&key) {
            return Ok(Err(full.to_string()));
        }
        let answer = self.journal.state().add(&key, by);
        if answer.is_ok() && by != 0 {
            self.journal.added(key, by);
        }
        Ok(answer.map_err(|error| error.to_string()))
    }

    fn take(&mut self, key: String, least: u64, most: u64, per_second: f64, burst: u64) -> wasmtime::Result<u64> {
        self.journal.can_undo(&key).map_err(wasmtime::Error::new)?;
        match self.journal.state().take(&key, least, most, per_second, burst, Instant::now()) {
            Ok(tokens) => {
                if tokens > 0 {
                    self.journal.taken(key, tokens);
                }
                Ok(tokens)
            }
            Err(error @ StateError::Rate) => Err(wasmtime::Error::new(error)),
            // There is no bucket, so there are no tokens; the contract has no other word for it.
            Err(error) => {
                self.journal.log(Level::WARN, format!("no tokens from a bucket that cannot be kept: {error}"));
                Ok(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::metrics::Metrics;
    use crate::state::StateStore;
    use crate::tables::Access;

    fn host(state: &Arc<StateStore>) -> HostState {
        let sink = Metrics::default().sink("p");
        HostState {
            limiter: Limiter::new(0, 0, 0),
            deadline: Deadline::default(),
            journal: Journal::new(Arc::clone(&sink), Arc::clone(state), 32, 16 << 10),
            tables: Finder::new(Access::default(), sink, 0),
            now: 0,
            shell: None,
        }
    }

    #[test]
    fn a_call_may_change_only_as_much_of_its_state_as_can_be_undone_and_is_told() {
        let state = Arc::new(StateStore::default());
        let mut host = host(&state);
        // So many that each is remembered again whenever its turn comes.
        let keys: Vec<String> = (0..32).map(|number| format!("{number:0>1024}")).collect();
        let mut bytes = 0;
        let refusal = loop {
            let key = keys[bytes / 1024 % keys.len()].clone();
            match state::Host::add(&mut host, key, 1).expect("the contract has a word for it") {
                Ok(_) => bytes += 1024,
                Err(refusal) => break refusal,
            }
            assert!(bytes <= 8 << 20, "the host remembers {bytes} bytes");
        };
        assert!(refusal.contains("under 8 MiB of keys"), "{refusal}");
        assert!(bytes > 7 << 20);
        let trap = state::Host::take(&mut host, keys[0].clone(), 1, 1, 1.0, 10).expect_err("it has no word for it");
        assert_eq!(trap.to_string(), refusal);
        host.journal.settle(false);
        assert!(keys.iter().all(|key| state.add(key, 0) == Ok(0)), "all of it was undone");
        assert!(state::Host::add(&mut host, keys[0].clone(), 1).expect("a word").is_ok(), "the next call may again");
    }
}
