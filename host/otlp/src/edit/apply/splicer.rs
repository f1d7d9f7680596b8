//! Writing an event, a link or a value anew, and remembering where what stays has gone.
//!
//! Entries are named by where they stood when they were shown. An element that one edit rewrites can be meant by a later
//! edit of the same call, so what was copied from the old body to the new is noted, and places are looked up through it.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::wire::Slice;

/// The buffer in which bodies are put together.
#[derive(Debug, Default)]
pub(super) struct Splicer {
    pub(super) out: Vec<u8>,
    /// What was copied into `out`, in order.
    copied: Vec<Run>,
    /// Whether later edits may ask.
    tracking: bool,
    /// Of each body that this call has written: where it comes from.
    tracks: HashMap<Slice, Track, FixedState>,
}

/// Bytes that stand in both bodies.
#[derive(Debug, Clone, Copy)]
struct Run {
    old: u32,
    len: u32,
    new: u32,
}

#[derive(Debug)]
struct Track {
    shown: Slice,
    runs: Vec<Run>,
}

impl Splicer {
    pub(super) fn new(tracking: bool) -> Self {
        Self { tracking, ..Self::default() }
    }

    /// Begins a body.
    pub(super) fn begin(&mut self) {
        self.out.clear();
        self.copied.clear();
    }

    /// Copies a part of the old body.
    pub(super) fn copy(&mut self, old: &[u8], start: u32, end: u32) {
        if self.tracking {
            self.copied.push(Run { old: start, len: end - start, new: self.out.len() as u32 });
        }
        self.out.extend_from_slice(&old[start as usize..end as usize]);
    }

    /// How far the body has come, to go back to.
    pub(super) fn mark(&self) -> (usize, usize) {
        (self.out.len(), self.copied.len())
    }

    /// Takes back what was written since `mark`.
    pub(super) fn back_to(&mut self, mark: (usize, usize)) {
        self.out.truncate(mark.0);
        self.copied.truncate(mark.1);
    }

    /// Puts the header of a message in front of what was written since `mark`.
    pub(super) fn enclose(&mut self, mark: (usize, usize), number: u32) {
        let len = self.out.len() - mark.0;
        let mut header = [0u8; 16];
        let mut at = 0;
        for mut value in [u64::from(number) << 3 | 2, len as u64] {
            while value >= 0x80 {
                header[at] = value as u8 | 0x80;
                value >>= 7;
                at += 1;
            }
            header[at] = value as u8;
            at += 1;
        }
        let end = self.out.len();
        self.out.extend_from_slice(&header[..at]);
        self.out.copy_within(mark.0..end, mark.0 + at);
        self.out[mark.0..mark.0 + at].copy_from_slice(&header[..at]);
        for run in &mut self.copied[mark.1..] {
            run.new += at as u32;
        }
    }

    /// Notes that the body at `new` was put together from the one at `old`.
    pub(super) fn note(&mut self, old: Slice, new: Slice) {
        if !self.tracking {
            return;
        }
        let (shown, runs) = match self.tracks.get(&old) {
            None => (old, self.copied.clone()),
            Some(track) => (track.shown, compose(&track.runs, &self.copied)),
        };
        self.tracks.insert(new, Track { shown, runs });
    }

    /// Whether the body at `now` is what became of the one at `shown`.
    pub(super) fn is(&self, now: Slice, shown: Slice) -> bool {
        now == shown || (self.tracking && self.tracks.get(&now).is_some_and(|track| track.shown == shown))
    }

    /// Where a place in the body that was shown now stands in the body at `now`; `None` if it was written over.
    pub(super) fn place(&self, now: Slice, place: Slice) -> Option<Slice> {
        let Some(track) = self.tracks.get(&now) else { return Some(place) };
        let run = track.runs.iter().find(|run| run.old <= place.at && place.end() <= run.old + run.len)?;
        Some(Slice { at: run.new + (place.at - run.old), ..place })
    }
}

/// What was copied from the first body to the second and from there to the third.
fn compose(first: &[Run], second: &[Run]) -> Vec<Run> {
    let mut runs = Vec::new();
    for a in first {
        for b in second {
            let start = a.new.max(b.old);
            let end = (a.new + a.len).min(b.old + b.len);
            if start < end {
                runs.push(Run { old: a.old + (start - a.new), len: end - start, new: b.new + (start - b.old) });
            }
        }
    }
    runs
}
