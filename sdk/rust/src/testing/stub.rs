//! The host's functions as native code: what `host` and `state` call where there is no WebAssembly around them.
//!
//! Each harness has a host of its own, put in place for the length of a call.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::columns;
use super::span::Value;
use crate::bindings::tracemill::plugin::host::{Field, Level};
use crate::bindings::tracemill::plugin::state::Versioned;
use crate::bindings::types;
use crate::layout::Texts;
use crate::tables::CELLS;

thread_local! {
    static CURRENT: RefCell<Host> = RefCell::default();
}

/// A lookup table: fields by key.
type Table = BTreeMap<Vec<u8>, BTreeMap<String, Value>>;

#[derive(Default)]
pub(crate) struct Host {
    pub(super) now: u64,
    logs: Vec<(Level, String)>,
    counts: Vec<(String, u64)>,
    values: BTreeMap<String, (u64, Vec<u8>)>,
    counters: BTreeMap<String, i64>,
    buckets: BTreeMap<String, Bucket>,
    tables: BTreeMap<String, Table>,
    /// Whether the state takes no value.
    pub(super) is_full: bool,
}

struct Bucket {
    tokens: f64,
    filled_at: u64,
}

impl Host {
    /// Runs a call of the plugin with this host in place.
    pub(super) fn during<T>(&mut self, call: impl FnOnce() -> T) -> T {
        CURRENT.with(|current| current.swap(&RefCell::new(std::mem::take(self))));
        let result = call();
        *self = CURRENT.take();
        result
    }

    pub(super) fn begin_call(&mut self) {
        self.logs.clear();
        self.counts.clear();
    }

    pub(super) fn take_logs(&mut self) -> Vec<(Level, String)> {
        std::mem::take(&mut self.logs)
    }

    pub(super) fn logs(&self) -> &[(Level, String)] {
        &self.logs
    }

    pub(super) fn take_counts(&mut self) -> Vec<(String, u64)> {
        std::mem::take(&mut self.counts)
    }

    pub(super) fn state_value(&self, key: &str) -> Option<Vec<u8>> {
        self.values.get(key).map(|(_, value)| value.clone())
    }

    pub(super) fn set_table<'a>(
        &mut self,
        name: &str,
        rows: impl IntoIterator<Item = (&'a str, Vec<(&'a str, Value)>)>,
    ) {
        let rows = rows.into_iter().map(|(key, fields)| {
            let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            (key.as_bytes().to_vec(), fields)
        });
        self.tables.insert(name.to_owned(), rows.collect());
    }

    pub(super) fn forget_table(&mut self, name: &str) {
        self.tables.remove(name);
    }
}

fn current<T>(act: impl FnOnce(&mut Host) -> T) -> T {
    CURRENT.with_borrow_mut(act)
}

pub(crate) fn log(level: Level, message: &str) {
    current(|host| host.logs.push((level, message.to_owned())));
}

pub(crate) fn count(name: &str, by: u64) {
    current(|host| host.counts.push((name.to_owned(), by)));
}

pub(crate) fn now() -> u64 {
    current(|host| host.now)
}

pub(crate) fn find(table: &str, fields: &[Field], keys: &types::Texts) -> Result<Vec<types::Column>, String> {
    current(|host| {
        let rows = host.tables.get(table).ok_or_else(|| format!("no lookup table named `{table}` is configured"))?;
        let count = Texts::new(keys).len();
        if count * fields.len().max(1) > CELLS {
            return Err(format!("{count} keys and {} fields are more than one question may have", fields.len()));
        }
        let found: Vec<_> = Texts::new(keys).iter().map(|key| rows.get(key.as_bytes())).collect();
        let column = |field: &Field| {
            let Field { name, layout } = field;
            if matches!(layout, types::Layout::Ids | types::Layout::Entries) {
                return Err(format!("the field `{name}` is asked for in a layout that no lookup table has"));
            }
            if !rows.values().any(|row| row.contains_key(name)) {
                return Err(format!("the lookup table `{table}` has no field `{name}`"));
            }
            let cells: Vec<_> = found.iter().map(|row| row.and_then(|row| row.get(name))).collect();
            columns::of_values(&cells, *layout)
        };
        fields.iter().map(column).collect()
    })
}

pub(crate) fn get(key: &str) -> Option<Versioned> {
    current(|host| host.values.get(key).map(|(version, value)| Versioned { version: *version, value: value.clone() }))
}

pub(crate) fn put(key: &str, value: &[u8]) -> Result<(), String> {
    current(|host| {
        if host.is_full {
            return Err(format!("the state has no room for the {} bytes of `{key}`", value.len()));
        }
        let entry = host.values.entry(key.to_owned()).or_default();
        *entry = (entry.0 + 1, value.to_vec());
        Ok(())
    })
}

pub(crate) fn replace(key: &str, version: u64, value: &[u8]) -> Result<bool, String> {
    let known = get(key).map_or(0, |versioned| versioned.version);
    if known == version { put(key, value).map(|()| true) } else { Ok(false) }
}

#[expect(clippy::unnecessary_wraps, reason = "the contract's signature; the real host's state is bounded")]
pub(crate) fn add(key: &str, by: i64) -> Result<i64, String> {
    Ok(current(|host| {
        let counter = host.counters.entry(key.to_owned()).or_default();
        *counter = counter.wrapping_add(by);
        *counter
    }))
}

pub(crate) fn take(key: &str, least: u64, most: u64, per_second: f64, burst: u64) -> u64 {
    current(|host| {
        let now = host.now;
        let full = Bucket { tokens: burst as f64, filled_at: now };
        let bucket = host.buckets.entry(key.to_owned()).or_insert(full);
        let seconds = now.saturating_sub(bucket.filled_at) as f64 / 1e9;
        bucket.tokens = (bucket.tokens + seconds * per_second).min(burst as f64);
        bucket.filled_at = now;
        let taken = most.min(bucket.tokens as u64);
        if taken < least {
            return 0;
        }
        bucket.tokens -= taken as f64;
        taken
    })
}
