//! Which traces were decided: late spans follow. Kept ones are known exactly, dropped ones in rolling filters; the oldest are forgotten first, and counted.

use std::collections::VecDeque;

use hashbrown::HashTable;

use super::config::Remember;
use super::filter::Rolling;
use super::key::{Hashing, Key};

/// What one shard remembers.
#[derive(Debug)]
pub(super) struct Remembered {
    /// With the number of its verdict.
    kept: HashTable<(Key, u32)>,
    /// In the order in which they were decided.
    order: VecDeque<Key>,
    hashing: Hashing,
    most: usize,
    dropped: Rolling,
}

impl Remembered {
    pub(super) fn new(remember: Remember, hashing: Hashing) -> Self {
        let most = remember.kept.max(1);
        Self {
            // All of it at once: a table that doubled when memory is short would take what nobody has. Half full it never does, whatever leaves and comes.
            kept: HashTable::with_capacity(2 * most),
            order: VecDeque::with_capacity(most),
            hashing,
            most,
            dropped: Rolling::new(remember.dropped),
        }
    }

    /// How many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        // A table has a byte beside each entry.
        let entries = self.kept.capacity() * (size_of::<(Key, u32)>() + 1);
        entries + self.order.capacity() * size_of::<Key>() + self.dropped.bytes()
    }

    /// The verdict's number, if the trace is known to have been kept. `hash` is its key's.
    pub(super) fn kept(&self, key: &Key, hash: u64) -> Option<u32> {
        self.kept.find(hash, |(known, _)| known == key).map(|(_, verdict)| *verdict)
    }

    /// Whether it was dropped, or is taken for one that was.
    pub(super) fn is_dropped(&self, hash: u64) -> bool {
        self.dropped.contains(hash)
    }

    /// Reads where a hash would be, see [`Rolling::touch`].
    pub(super) fn touch(&self, hash: u64) -> u16 {
        self.dropped.touch(hash)
    }

    /// Remembers that a trace is kept. Answers the verdict that is no longer of use: of the trace that is forgotten for it, or the one given where the
    /// trace was known.
    pub(super) fn keep(&mut self, key: Key, hash: u64, verdict: u32) -> Option<Unused> {
        if let Some((_, known)) = self.kept.find_mut(hash, |(known, _)| *known == key) {
            return Some(Unused { verdict: std::mem::replace(known, verdict), is_forgotten: false });
        }
        let forgotten = (self.order.len() >= self.most).then(|| self.order.pop_front()).flatten();
        let forgotten = forgotten
            .and_then(|oldest| self.kept.find_entry(self.hashing.of(oldest), |(known, _)| *known == oldest).ok())
            .map(|entry| entry.remove().0.1);
        self.kept.insert_unique(hash, (key, verdict), |(known, _)| self.hashing.of(*known));
        self.order.push_back(key);
        forgotten.map(|verdict| Unused { verdict, is_forgotten: true })
    }

    /// Remembers that a trace was dropped.
    pub(super) fn drop(&mut self, hash: u64) {
        self.dropped.insert(hash);
    }

    /// How often the oldest of the dropped ones were forgotten, some thousands at a time.
    pub(super) fn rotations(&self) -> u64 {
        self.dropped.rotations()
    }
}

/// A verdict that one trace less is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unused {
    pub(super) verdict: u32,
    /// Whether a trace is no longer known.
    pub(super) is_forgotten: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> Key {
        Key { tenant: 0, id: [number; 16] }
    }

    #[test]
    fn the_newest_kept_ones_are_known_exactly() {
        let hashing = Hashing::default();
        let hash = |number| hashing.of(key(number));
        let mut remembered = Remembered::new(Remember { kept: 3, dropped: 10 }, hashing.clone());
        let unused: Vec<_> =
            (0..5).map(|number| remembered.keep(key(number), hash(number), u32::from(number))).collect();
        let forgotten = |verdict| Some(Unused { verdict, is_forgotten: true });
        assert_eq!(unused, [None, None, None, forgotten(0), forgotten(1)]);
        assert_eq!(
            (0..5).map(|n| remembered.kept(&key(n), hash(n))).collect::<Vec<_>>(),
            [None, None, Some(2), Some(3), Some(4)]
        );
        assert_eq!(remembered.keep(key(3), hash(3), 9), Some(Unused { verdict: 3, is_forgotten: false }));
        assert_eq!(remembered.kept(&key(3), hash(3)), Some(9));
    }
}
