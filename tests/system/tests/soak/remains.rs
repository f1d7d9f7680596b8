//! What a process holds of the system: files, threads, mappings and memory. What it still holds when all is as before has leaked.

use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::fs;

/// Counted by what they are.
type Counts = BTreeMap<String, usize>;

/// What a process holds.
#[derive(Debug, Clone, Default)]
pub struct Remains {
    /// Open files by where they lead.
    files: Counts,
    /// Threads by their names.
    threads: Counts,
    /// Mappings that hold the code of compiled plugins.
    code: usize,
    /// All mappings.
    mappings: usize,
}

/// So many mappings more are the allocator's, which divides and joins its own as it likes.
const ALLOCATORS: usize = 200;

impl Remains {
    /// Of a process now.
    pub fn of(process: u32) -> Result<Self> {
        let mut remains = Self::default();
        for entry in fs::read_dir(format!("/proc/{process}/fd")).context("reading its open files")? {
            // Those that are closed meanwhile do not count.
            let Ok(target) = entry.and_then(|entry| fs::read_link(entry.path())) else { continue };
            let target = target.to_string_lossy().into_owned();
            // What instances' memories begin with: compiled just now it is in memory, compiled before it is in a file.
            let named = target.trim_end_matches(" (deleted)");
            let is_image = named.contains(".cwasm") || named.ends_with("wasm-memory-image");
            let kind = target.split_once(":[").map_or(&*target, |(kind, _)| kind);
            let kind = if is_image { "image of a plugin's memory" } else { kind };
            *remains.files.entry(kind.to_owned()).or_default() += 1;
        }
        for entry in fs::read_dir(format!("/proc/{process}/task")).context("reading its threads")? {
            let Ok(name) = entry.and_then(|entry| fs::read_to_string(entry.path().join("comm"))) else { continue };
            *remains.threads.entry(name.trim().to_owned()).or_default() += 1;
        }
        let maps = fs::read_to_string(format!("/proc/{process}/maps")).context("reading its mappings")?;
        remains.mappings = maps.lines().count();
        remains.code = maps.lines().filter(|line| is_code(line)).count();
        Ok(remains)
    }

    /// What there is more than before.
    pub fn beyond(&self, before: &Self) -> Vec<String> {
        let mut more = Vec::new();
        for (what, now, then) in [("files", &self.files, &before.files), ("threads", &self.threads, &before.threads)] {
            for (kind, count) in now {
                let was = then.get(kind).copied().unwrap_or_default();
                if *count > was {
                    more.push(format!("{what}: {count} {kind}, there were {was}"));
                }
            }
        }
        if self.code > before.code {
            more.push(format!("{} mappings of code, there were {}", self.code, before.code));
        }
        if self.mappings > before.mappings + ALLOCATORS {
            more.push(format!("{} mappings, there were {}", self.mappings, before.mappings));
        }
        more
    }
}

impl Display for Remains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |counts: &Counts| counts.values().sum::<usize>();
        let (files, threads) = (sum(&self.files), sum(&self.threads));
        write!(f, "{files} files, {threads} threads, {} mappings, {} of code", self.mappings, self.code)
    }
}

/// `7f0000000000-7f0000001000 r-xp 00000000 00:00 0`, and nothing behind it but a compiled plugin's file.
fn is_code(line: &str) -> bool {
    let mut fields = line.split_ascii_whitespace().skip(1);
    fields.next().is_some_and(|rights| rights.starts_with("r-x"))
        && fields.nth(3).is_none_or(|file| file.contains(".cwasm"))
}

/// Bytes of a process that are in memory.
pub fn resident(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).context("reading its memory")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? << 10)
}

#[test]
fn what_is_opened_and_started_is_seen_and_what_is_gone_is_not() {
    let me = std::process::id();
    let before = Remains::of(me).expect("Linux");
    assert!(before.beyond(&before).is_empty());
    let file = tempfile::NamedTempFile::new().expect("a file");
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let (begin, begun) = std::sync::mpsc::channel::<()>();
    let run = move || begin.send(()).and(Ok(ended.recv().is_err()));
    let thread = std::thread::Builder::new().name("left-over".to_owned()).spawn(run);
    // It has its name once it runs.
    begun.recv().expect("it began");
    let now = Remains::of(me).expect("Linux").beyond(&before).join("; ");
    assert!(now.contains(&*file.path().to_string_lossy()) && now.contains("left-over"), "{now}");
    drop((file, end));
    assert_eq!(thread.expect("it began").join().expect("it ends"), Ok(true));
}
