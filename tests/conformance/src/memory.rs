//! How much memory a process has held at most, as Linux tells.

use anyhow::{Context as _, Result};
use std::fs;

/// The peak of a process from a moment on.
#[derive(Debug)]
pub struct Peak {
    process: u32,
    before: usize,
}

impl Peak {
    /// From now on.
    pub fn begin(process: u32) -> Result<Self> {
        // "5" lets the kernel forget the peak so far.
        fs::write(format!("/proc/{process}/clear_refs"), "5").context("resetting the peak of its memory")?;
        Ok(Self { process, before: read(process, "VmRSS:")? })
    }

    /// By how many bytes it has grown since, at its peak.
    pub fn growth(&self) -> Result<usize> {
        Ok(read(self.process, "VmHWM:")?.saturating_sub(self.before))
    }
}

fn read(process: u32, name: &str) -> Result<usize> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).context("reading the state of its memory")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
    let kibibytes: usize =
        line.trim().trim_end_matches("kB").trim().parse().with_context(|| format!("{name}{line}"))?;
    Ok(kibibytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_held_for_a_moment_counts() {
        const HELD: usize = 64 << 20;
        let peak = Peak::begin(std::process::id()).unwrap();
        drop(std::hint::black_box(vec![1_u8; HELD]));
        let growth = peak.growth().unwrap();
        assert!((HELD / 10 * 9..HELD * 2).contains(&growth), "{growth}");
    }
}
