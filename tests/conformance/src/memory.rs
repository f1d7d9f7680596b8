//! By how much the memory of a process grows at most while something is tried on it.

use anyhow::{Context as _, Result};
use harness::memory;
use std::fs;

/// The peak of a process from a moment on.
#[derive(Debug)]
pub struct Peak {
    process: u32,
    before: u64,
}

impl Peak {
    /// From now on.
    pub fn begin(process: u32) -> Result<Self> {
        // "5" lets the kernel forget the peak so far.
        fs::write(format!("/proc/{process}/clear_refs"), "5").context("resetting the peak of its memory")?;
        Ok(Self { process, before: memory::of(process)?.now })
    }

    /// By how many bytes it has grown since, at its peak.
    pub fn growth(&self) -> Result<u64> {
        Ok(memory::of(self.process)?.peak.saturating_sub(self.before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_held_for_a_moment_counts() {
        const HELD: u64 = 64 << 20;
        let peak = Peak::begin(std::process::id()).unwrap();
        drop(std::hint::black_box(vec![1_u8; HELD as usize]));
        let growth = peak.growth().unwrap();
        assert!((HELD / 10 * 9..HELD * 2).contains(&growth), "{growth}");
    }
}
