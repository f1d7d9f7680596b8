//! What a process has used, as the operating system counts it.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
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

/// Bytes that a process has had written to disks.
pub fn written(process: u32) -> Result<u64> {
    let io = std::fs::read_to_string(format!("/proc/{process}/io")).context("reading what a process has written")?;
    let bytes = io.lines().find_map(|line| line.strip_prefix("write_bytes:")).context("no write_bytes")?;
    Ok(bytes.trim().parse()?)
}

/// Bytes that the files below a folder take on the disk.
pub fn on_disk(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        // Files come and go while they are counted.
        let Ok((path, meta)) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?))) else { continue };
        bytes += if meta.is_dir() { on_disk(&path)? } else { meta.blocks() * 512 };
    }
    Ok(bytes)
}
