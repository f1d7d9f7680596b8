//! How much memory a process holds, as Linux tells.

use anyhow::{Context as _, Result};
use std::fs;

/// Resident memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// `VmRSS`: now.
    pub now: u64,
    /// `VmHWM`: at its highest, since the start or since it was told to forget that.
    pub peak: u64,
    /// `RssAnon`: now, without mapped files, of which the system takes back what it needs.
    pub anonymous: u64,
}

/// The resident memory of a process.
pub fn of(process: u32) -> Result<Memory> {
    let file = format!("/proc/{process}/status");
    read(&fs::read_to_string(&file).with_context(|| format!("{file}: the process has ended"))?)
}

fn read(status: &str) -> Result<Memory> {
    let bytes = |name: &str| -> Result<u64> {
        let value =
            |line: &str| line.split_once(':').filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned());
        let value = status.lines().find_map(value).with_context(|| format!("no {name}"))?;
        let kibibytes = value.trim().trim_end_matches("kB").trim_end();
        Ok(kibibytes.parse::<u64>().with_context(|| format!("{name}:{value}"))? << 10)
    };
    Ok(Memory { now: bytes("VmRSS")?, peak: bytes("VmHWM")?, anonymous: bytes("RssAnon")? })
}

/// By how much the memory of a process grows at most while something is tried on it.
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
        Ok(Self { process, before: of(process)?.now })
    }

    /// By how many bytes it has grown since, at its peak.
    pub fn growth(&self) -> Result<u64> {
        Ok(of(self.process)?.peak.saturating_sub(self.before))
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
        // Other tests of the process come and go.
        assert!((HELD / 2..HELD * 4).contains(&growth), "{growth}");
    }

    #[test]
    fn what_linux_writes_is_read_in_bytes() {
        let status = "VmPeak:\t   90 kB\nVmHWM:\t   70 kB\nVmRSS:\t     5 kB\nRssAnon:\t       1 kB\n";
        assert_eq!(read(status).unwrap(), Memory { now: 5 << 10, peak: 70 << 10, anonymous: 1 << 10 });
        assert!(read("VmRSS: 5 kB\n").unwrap_err().to_string().contains("VmHWM"));
        let own = of(std::process::id()).unwrap();
        assert!(own.anonymous > 0 && own.anonymous <= own.now && own.now <= own.peak, "{own:?}");
    }
}
