//! What a process has used, as the operating system counts it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::time::TimeValLike as _;
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// The CPU time of all threads of a process since its start.
pub fn cpu(process: u32) -> Result<Duration> {
    let clock = clock_getcpuclockid(Pid::from_raw(i32::try_from(process)?)).context("the process has ended")?;
    let time = clock_gettime(clock)?;
    Ok(Duration::from_nanos(u64::try_from(time.num_nanoseconds())?))
}

/// Resident memory in bytes: now, and at its highest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// `VmRSS`
    pub now: u64,
    /// `VmHWM`
    pub peak: u64,
}

/// The resident memory of a process.
pub fn memory(process: u32) -> Result<Memory> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).context("the process has ended")?;
    let kibibytes = |name: &str| -> Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
        let number = line.trim_start_matches(':').trim().trim_end_matches(" kB");
        Ok(number.parse::<u64>().with_context(|| format!("{name} {line}"))? * 1024)
    };
    Ok(Memory { now: kibibytes("VmRSS")?, peak: kibibytes("VmHWM")? })
}
