//! How the host treats a plugin: the bounds of its instances. Knows nothing of how they are kept.

use std::time::Duration;

/// The bounds of one plugin's instances. The defaults suit plugins in Rust, Go and C; those that bring a whole runtime
/// (Python, JavaScript) need more `memory`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Bytes of memory that an instance may have, all its memories taken together.
    pub memory: usize,
    /// Elements that all its tables may have.
    pub table_elements: usize,
    /// Core instances that it may be made of, and tables; a component may have thousands that hold nothing, each with its upkeep. Memories are fewer,
    /// see [`MOST_MEMORIES`].
    pub instances: usize,
    /// How long instantiation and `configure` may take together, in CPU time.
    pub configure_deadline: Duration,
    /// After so many calls an instance makes way for a fresh one, so that what rots in it is bounded.
    pub calls: u64,
    /// Edits that a call may answer.
    pub edits: usize,
    /// Bytes that a call may make the host allocate for what it answers, or hands to one host function.
    pub answer: usize,
    /// Lines that a call may log; more are counted.
    pub log_lines: usize,
    /// Bytes that a call may log, what it writes to stdout and stderr included; more are cut off.
    pub log_bytes: usize,
}

/// Memories that a plugin may have: each reserves gigabytes of addresses, whatever it holds, and toolchains make one or two.
pub const MOST_MEMORIES: usize = 16;

impl Default for Options {
    fn default() -> Self {
        Self {
            memory: 64 << 20,
            // C# components have ten thousand and more; a table element costs the host 8 bytes.
            table_elements: 100_000,
            // Python's have some dozens.
            instances: 256,
            // Python takes some milliseconds; the rest is for machines under load.
            configure_deadline: Duration::from_secs(2),
            calls: 1_000_000,
            // Eight for each of the 4,096 rows of a call; most edits are for many rows.
            edits: 1 << 15,
            // A call shows 4 MiB of columns; rewriting all of it, with a multiple for structure.
            answer: 16 << 20,
            log_lines: 32,
            log_bytes: 16 << 10,
        }
    }
}
