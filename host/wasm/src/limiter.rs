//! The memory limit of an instance, and what it was refused.
//!
//! Invariant: no Wasm runs without a memory limit. It holds for all memories of an instance taken together.

use wasmtime::ResourceLimiter;

use crate::options::MOST_MEMORIES;

/// Keeps an instance's memories and tables within their bounds.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory_limit: usize,
    table_limit: usize,
    instance_limit: usize,
    memory: usize,
    elements: usize,
    refused: Option<Refused>,
}

/// What an instance wanted and did not get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("it wanted {} MiB of memory; its limit is {} MiB", wanted.div_ceil(1 << 20), limit >> 20)]
    Memory { wanted: usize, limit: usize },
    #[error("it wanted tables of {wanted} elements; its limit is {limit}")]
    Table { wanted: usize, limit: usize },
}

impl Limiter {
    pub(crate) fn new(memory_limit: usize, table_limit: usize, instance_limit: usize) -> Self {
        Self { memory_limit, table_limit, instance_limit, memory: 0, elements: 0, refused: None }
    }

    /// Bytes in use.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// The bound on them.
    pub(crate) fn memory_limit(&self) -> usize {
        self.memory_limit
    }

    /// What was refused since the last call of this; guests mostly trap on it.
    pub(crate) fn take_refused(&mut self) -> Option<Refused> {
        self.refused.take()
    }
}

impl ResourceLimiter for Limiter {
    fn instances(&self) -> usize {
        self.instance_limit
    }

    fn tables(&self) -> usize {
        self.instance_limit
    }

    fn memories(&self) -> usize {
        self.instance_limit.min(MOST_MEMORIES)
    }

    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.memory.saturating_add(desired.saturating_sub(current));
        if wanted > self.memory_limit {
            self.refused = Some(Refused::Memory { wanted, limit: self.memory_limit });
            return Ok(false);
        }
        self.memory = wanted;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.elements.saturating_add(desired.saturating_sub(current));
        if wanted > self.table_limit {
            self.refused = Some(Refused::Table { wanted, limit: self.table_limit });
            return Ok(false);
        }
        self.elements = wanted;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_share_one_limit() {
        let mut limiter = Limiter::new(3 << 20, 10, 100);
        assert!(limiter.memory_growing(0, 2 << 20, None).unwrap());
        assert!(limiter.memory_growing(0, 1 << 20, None).unwrap());
        assert!(!limiter.memory_growing(1 << 20, 2 << 20, None).unwrap());
        assert_eq!(limiter.memory(), 3 << 20, "what was refused does not count");
        let refused = limiter.take_refused().expect("refused");
        assert_eq!(refused.to_string(), "it wanted 4 MiB of memory; its limit is 3 MiB");
        assert_eq!(limiter.take_refused(), None);
        assert!(!limiter.table_growing(0, 11, None).unwrap());
        assert_eq!((limiter.instances(), limiter.tables(), limiter.memories()), (100, 100, MOST_MEMORIES));
    }
}
