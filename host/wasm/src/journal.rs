//! What a call logs, counts, adds and takes, held back until it is known whether the call stands.

use std::borrow::Cow;
use std::sync::Arc;

use tracing::Level;

use crate::metrics::{self, Sink};
use crate::state::StateStore;
use crate::words::on_one_line;

/// The journal of an instance's current call.
#[derive(Debug)]
pub(crate) struct Journal {
    sink: Arc<Sink>,
    state: Arc<StateStore>,
    max_lines: usize,
    max_bytes: usize,
    lines: Vec<(Level, String)>,
    /// Bytes in `lines`.
    bytes: usize,
    /// Lines, or parts of lines, that did not fit.
    lost: u64,
    /// The end of what was logged as errors, or written to stderr: what a guest says before it traps.
    last_words: String,
    counts: Vec<(String, u64)>,
    /// Counts under names that did not fit.
    uncounted: u64,
    added: Vec<(String, i64)>,
    taken: Vec<(String, u64)>,
    /// Bytes of `added` and `taken`, as their bound counts them.
    undo_bytes: usize,
}

/// What a call may change of its state's counters and buckets, in bytes of their keys with [`UPKEEP`] for each: what the host
/// must remember to undo it.
const UNDO_BYTES: usize = 8 << 20;
/// What it costs to remember a key, beside its bytes.
const UPKEEP: usize = 64;

/// A call has changed more counters and buckets than the host remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a call may change counters and buckets of its state under {} MiB of keys (with {UPKEEP} bytes for each), no more",
    UNDO_BYTES >> 20
)]
pub(crate) struct TooMuchToUndo;

/// How much of a guest's last words goes into a fault's message.
const LAST_WORDS: usize = 512;

impl Journal {
    pub(crate) fn new(sink: Arc<Sink>, state: Arc<StateStore>, max_lines: usize, max_bytes: usize) -> Self {
        Self {
            sink,
            state,
            max_lines,
            max_bytes,
            lines: Vec::new(),
            bytes: 0,
            lost: 0,
            last_words: String::new(),
            counts: Vec::new(),
            uncounted: 0,
            added: Vec::new(),
            taken: Vec::new(),
            undo_bytes: 0,
        }
    }

    pub(crate) fn state(&self) -> &StateStore {
        &self.state
    }

    /// A line of the guest's.
    pub(crate) fn log(&mut self, level: Level, mut message: String) {
        if level == Level::ERROR {
            self.remember(&message);
        }
        if !is_wanted(level) {
            return;
        }
        let room = self.max_bytes - self.bytes;
        if self.lines.len() >= self.max_lines || room == 0 {
            self.lost += 1;
            return;
        }
        if message.len() > room {
            message.truncate(cut(&message, room).len());
            message.shrink_to_fit();
            self.lost += 1;
        }
        if let Cow::Owned(escaped) = on_one_line(&message) {
            cut(&escaped, room).clone_into(&mut message);
        }
        self.bytes += message.len();
        self.lines.push((level, message));
    }

    /// Keeps the end of what the guest says.
    fn remember(&mut self, message: &str) {
        // What Rust adds to every panic helps nobody here.
        if message.starts_with("note: run with `RUST_BACKTRACE") {
            return;
        }
        let message = cut(message, LAST_WORDS);
        if !self.last_words.is_empty() {
            self.last_words.push(' ');
        }
        self.last_words.push_str(message);
        let excess = self.last_words.len().saturating_sub(LAST_WORDS);
        self.last_words.drain(..self.last_words.ceil_char_boundary(excess));
    }

    /// So many lines of the guest's were thrown away before they came here.
    pub(crate) fn lost(&mut self, lines: u64) {
        self.lost += lines;
    }

    pub(crate) fn count(&mut self, name: String, by: u64) {
        if let Some((_, count)) = self.counts.iter_mut().find(|(known, _)| *known == name) {
            *count = count.saturating_add(by);
        } else if self.counts.len() < metrics::NAMES && !name.is_empty() && name.len() <= metrics::NAME {
            self.counts.push((name, by));
        } else {
            self.uncounted += 1;
        }
    }

    /// It added to a counter of its state; remembered in one sum for each key.
    pub(crate) fn added(&mut self, key: String, by: i64) {
        if let Some((_, sum)) = self.added.iter_mut().rev().take(NEAR).find(|(known, _)| *known == key) {
            *sum = sum.wrapping_add(by);
        } else {
            self.undo_bytes += key.len() + UPKEEP;
            self.added.push((key, by));
        }
    }

    /// It took tokens.
    pub(crate) fn taken(&mut self, key: String, tokens: u64) {
        if let Some((_, sum)) = self.taken.iter_mut().rev().take(NEAR).find(|(known, _)| *known == key) {
            *sum = sum.saturating_add(tokens);
        } else {
            self.undo_bytes += key.len() + UPKEEP;
            self.taken.push((key, tokens));
        }
    }

    /// Whether another change under this key can be remembered: asked before it is made.
    pub(crate) fn can_undo(&self, key: &str) -> Result<(), TooMuchToUndo> {
        let bytes = self.undo_bytes.saturating_add(key.len()).saturating_add(UPKEEP);
        if bytes > UNDO_BYTES { Err(TooMuchToUndo) } else { Ok(()) }
    }

    /// What the guest said last before it failed.
    pub(crate) fn last_words(&self) -> Option<&str> {
        (!self.last_words.is_empty()).then_some(self.last_words.as_str())
    }

    /// Ends the call: what is held back stands, or is undone.
    pub(crate) fn settle(&mut self, kept: bool) {
        if kept {
            self.publish();
        } else {
            self.undo();
        }
        self.lines.clear();
        self.counts.clear();
        self.added.clear();
        self.taken.clear();
        self.last_words.clear();
        (self.bytes, self.lost, self.uncounted, self.undo_bytes) = (0, 0, 0, 0);
    }

    fn publish(&mut self) {
        let plugin = self.sink.plugin();
        for (level, message) in self.lines.drain(..) {
            emit(level, plugin, &message);
        }
        for (name, by) in self.counts.drain(..) {
            if !self.sink.count(&name, by) {
                self.uncounted += 1;
            }
        }
        if self.lost > 0 {
            tracing::warn!(target: "plugin", plugin, lines = self.lost, "a call logged more than its limit; the rest is left out");
        }
        if self.uncounted > 0 {
            tracing::warn!(
                target: "plugin",
                plugin,
                names = metrics::NAMES,
                "it counts under too many or too long names; what exceeds the limit is left out"
            );
        }
    }

    fn undo(&mut self) {
        for (key, by) in self.added.drain(..) {
            self.state.take_back(&key, by);
        }
        for (key, tokens) in self.taken.drain(..) {
            self.state.give_back(&key, tokens);
        }
    }
}

impl Drop for Journal {
    /// A call that nobody settled failed with its thread.
    fn drop(&mut self) {
        self.undo();
    }
}

/// So far back a key is looked for before it is remembered again: undoing twice is as right as once.
const NEAR: usize = 16;

/// The beginning of `text`, at most `bytes` long.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

fn is_wanted(level: Level) -> bool {
    match level {
        Level::ERROR => tracing::enabled!(target: "plugin", Level::ERROR),
        Level::WARN => tracing::enabled!(target: "plugin", Level::WARN),
        Level::INFO => tracing::enabled!(target: "plugin", Level::INFO),
        _ => tracing::enabled!(target: "plugin", Level::DEBUG),
    }
}

fn emit(level: Level, plugin: &str, message: &str) {
    match level {
        Level::ERROR => tracing::error!(target: "plugin", plugin, "{message}"),
        Level::WARN => tracing::warn!(target: "plugin", plugin, "{message}"),
        Level::INFO => tracing::info!(target: "plugin", plugin, "{message}"),
        _ => tracing::debug!(target: "plugin", plugin, "{message}"),
    }
}
