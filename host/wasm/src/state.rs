//! A plugin's state: small values, counters and token buckets, shared by all instances and versions of one plugin, bounded.
//! Knows no Wasm; `host` puts it behind the contract's `state`.

use std::sync::Arc;
use std::time::Instant;

use hashbrown::HashMap;
use parking_lot::Mutex;

mod bucket;

use bucket::Bucket;

/// What a plugin's state may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateLimits {
    /// Values, counters and buckets together.
    pub keys: usize,
    /// Bytes of keys and values, with 64 for each key's upkeep.
    pub bytes: usize,
    /// Bytes of one value.
    pub value: usize,
    /// Bytes of one key.
    pub key: usize,
}

impl Default for StateLimits {
    fn default() -> Self {
        Self { keys: 65_536, bytes: 16 << 20, value: 1 << 20, key: 1024 }
    }
}

/// What the state cannot do. The plugin is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// A key that is too long.
    #[error("the key has {length} bytes; the limit is {limit}")]
    Key {
        /// Its bytes.
        length: usize,
        /// The bound.
        limit: usize,
    },
    /// A value that is too long.
    #[error("the value has {length} bytes; the limit is {limit}")]
    Value {
        /// Its bytes.
        length: usize,
        /// The bound.
        limit: usize,
    },
    /// No room for another key.
    #[error("the plugin's state is full: it holds its limit of {0} keys")]
    Keys(usize),
    /// No room for more bytes.
    #[error("the plugin's state is full: it holds its limit of {0} bytes")]
    Bytes(usize),
    /// A counter at its end.
    #[error("the counter would leave the range of 64 bits")]
    Overflow,
    /// A bucket that cannot be filled.
    #[error("a bucket's `per-second` must be a number that is finite and not negative")]
    Rate,
}

/// The upkeep of a key, as it counts towards the limit.
const UPKEEP: usize = 64;

/// The state of one plugin.
#[derive(Debug, Default)]
pub struct StateStore {
    // One lock is enough: what is done under it is a look-up, or a copy of the maps without what they hold.
    inner: Mutex<Inner>,
}

#[derive(Debug, Clone, Default)]
struct Inner {
    limits: StateLimits,
    values: HashMap<Arc<str>, Versioned>,
    counters: HashMap<Arc<str>, i64>,
    buckets: HashMap<Arc<str>, Bucket>,
    bytes: usize,
    /// The last version given out. It counts for all values, so that none comes back under an old version.
    version: u64,
    swept: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Versioned {
    version: u64,
    /// Shared with copies of the whole, which are made while plugins wait.
    value: Arc<[u8]>,
}

impl StateStore {
    /// An empty state within `limits`.
    #[must_use]
    pub fn new(limits: StateLimits) -> Self {
        Self { inner: Mutex::new(Inner { limits, ..Inner::default() }) }
    }

    /// A copy that goes its own way, for a plugin that is tried in the shadow.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self { inner: Mutex::new(self.inner.lock().clone()) }
    }

    /// Sets other limits. What is beyond them stays until it is overwritten or taken away; nothing more comes.
    pub fn limit(&self, limits: StateLimits) {
        self.inner.lock().limits = limits;
    }

    /// How many keys it holds, and how many bytes as the limit counts them.
    #[must_use]
    pub fn usage(&self) -> (usize, usize) {
        let inner = self.inner.lock();
        (inner.keys(), inner.bytes)
    }

    /// A value and its version.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<(u64, Vec<u8>)> {
        let (version, value) = self.inner.lock().values.get(key).map(|entry| (entry.version, entry.value.clone()))?;
        Some((version, value.to_vec()))
    }

    /// Sets a value.
    pub fn put(&self, key: &str, value: Vec<u8>) -> Result<(), StateError> {
        self.inner.lock().write(key, value)
    }

    /// Sets a value if it is still at `version`, 0 meaning absent. Answers whether it did.
    pub fn replace(&self, key: &str, version: u64, value: Vec<u8>) -> Result<bool, StateError> {
        let mut inner = self.inner.lock();
        if inner.values.get(key).map_or(0, |entry| entry.version) != version {
            return Ok(false);
        }
        inner.write(key, value)?;
        Ok(true)
    }

    /// Adds to a counter; a counter that is absent is 0. Answers the sum.
    pub fn add(&self, key: &str, by: i64) -> Result<i64, StateError> {
        let mut inner = self.inner.lock();
        let old = inner.counters.get(key).copied();
        let sum = old.unwrap_or(0).checked_add(by).ok_or(StateError::Overflow)?;
        if old.is_none() && sum != 0 {
            inner.reserve(key, 0)?;
        }
        inner.set_counter(key, sum);
        Ok(sum)
    }

    /// Takes back what a call that failed has added.
    pub(crate) fn take_back(&self, key: &str, by: i64) {
        let mut inner = self.inner.lock();
        let sum = inner.counters.get(key).copied().unwrap_or(0).saturating_sub(by);
        // It had room when it was added; where the bound has been reached since, the counter stays as it is.
        if inner.counters.contains_key(key) || inner.reserve(key, 0).is_ok() {
            inner.set_counter(key, sum);
        }
    }

    /// Takes tokens from a bucket that holds up to `burst` and gains `per_second`: `most`, or what is there if that is at
    /// least `least`, else none. A bucket that is absent is full.
    pub fn take(
        &self,
        key: &str,
        least: u64,
        most: u64,
        per_second: f64,
        burst: u64,
        now: Instant,
    ) -> Result<u64, StateError> {
        if !per_second.is_finite() || per_second < 0.0 {
            return Err(StateError::Rate);
        }
        let mut inner = self.inner.lock();
        if !inner.buckets.contains_key(key) {
            if inner.keys() >= inner.limits.keys {
                inner.sweep(now);
            }
            inner.reserve(key, 0)?;
            inner.buckets.insert(key.into(), Bucket::full(burst, now));
        }
        let bucket = inner.buckets.get_mut(key).expect("it is there, or was put there");
        Ok(bucket.take(least, most, per_second, burst, now))
    }

    /// Gives back what a call that failed has taken.
    pub(crate) fn give_back(&self, key: &str, tokens: u64) {
        if let Some(bucket) = self.inner.lock().buckets.get_mut(key) {
            bucket.give_back(tokens);
        }
    }
}

impl Inner {
    fn keys(&self) -> usize {
        self.values.len() + self.counters.len() + self.buckets.len()
    }

    /// Makes room for a key that is not there yet, or says why there is none.
    fn reserve(&mut self, key: &str, value: usize) -> Result<(), StateError> {
        let limits = self.limits;
        if key.len() > limits.key {
            return Err(StateError::Key { length: key.len(), limit: limits.key });
        }
        if self.keys() >= limits.keys {
            return Err(StateError::Keys(limits.keys));
        }
        let more = cost(key) + value;
        if self.bytes + more > limits.bytes {
            return Err(StateError::Bytes(limits.bytes));
        }
        self.bytes += more;
        Ok(())
    }

    fn write(&mut self, key: &str, value: Vec<u8>) -> Result<(), StateError> {
        let limits = self.limits;
        if value.len() > limits.value {
            return Err(StateError::Value { length: value.len(), limit: limits.value });
        }
        let version = self.version + 1;
        if let Some(entry) = self.values.get_mut(key) {
            let bytes = self.bytes - entry.value.len() + value.len();
            if bytes > limits.bytes {
                return Err(StateError::Bytes(limits.bytes));
            }
            self.bytes = bytes;
            *entry = Versioned { version, value: value.into() };
        } else {
            self.reserve(key, value.len())?;
            self.values.insert(key.into(), Versioned { version, value: value.into() });
        }
        self.version = version;
        Ok(())
    }

    /// A counter at 0 is as good as absent and takes no room.
    fn set_counter(&mut self, key: &str, sum: i64) {
        if sum != 0 {
            if let Some(counter) = self.counters.get_mut(key) {
                *counter = sum;
            } else {
                self.counters.insert(key.into(), sum);
            }
        } else if self.counters.remove(key).is_some() {
            self.bytes -= cost(key);
        }
    }

    /// Forgets the buckets that are full again, once a second at most: a plugin that floods its state must not make every
    /// refusal expensive.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|last| now.saturating_duration_since(last).as_secs() < 1) {
            return;
        }
        self.swept = Some(now);
        let mut freed = 0;
        self.buckets.retain(|key, bucket| {
            let keep = !bucket.is_full(now);
            freed += if keep { 0 } else { cost(key) };
            keep
        });
        self.bytes -= freed;
    }
}

fn cost(key: &str) -> usize {
    key.len() + UPKEEP
}

#[cfg(test)]
mod tests;
