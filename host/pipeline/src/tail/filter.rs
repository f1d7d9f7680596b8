//! Which traces were dropped: fingerprints in blocks of one cache line, eight bytes for each trace. The older half makes way when the newer is full, so
//! that the newest are always known.
//!
//! A trace that was never there is taken for one of them once in four to eight thousand times where the older half is full, as it usually is: its spans
//! are dropped as late ones are. A cuckoo filter would take less memory, and two places of it for each question; that is most of what a question costs.

/// Fingerprints of one half of a block.
const SLOTS: usize = 16;
/// How many are in it when the half is full, on average: then one block in a hundred overflows.
const USUAL: usize = 8;

/// The newer fingerprints and the older ones, beside each other. They are filled in order; 0 is none.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
struct Block([[u16; SLOTS]; 2]);

/// The newest hashes: at least `capacity` of them, up to twice as many.
#[derive(Debug)]
pub(super) struct Rolling {
    blocks: Box<[Block]>,
    /// Which half of each block is filled.
    newest: usize,
    /// How many hashes are in it.
    len: usize,
    capacity: usize,
    rotations: u64,
}

impl Rolling {
    /// Knows at least so many.
    pub(super) fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        let blocks = vec![Block::default(); capacity.div_ceil(USUAL)].into_boxed_slice();
        Self { blocks, newest: 0, len: 0, capacity, rotations: 0 }
    }

    /// How many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&self.blocks[..])
    }

    /// Whether a hash is known, or taken for one that is.
    pub(super) fn contains(&self, hash: u64) -> bool {
        self.is_in(0, hash) || self.is_in(1, hash)
    }

    /// Reads where a hash would be: who asks for many has all of it come from memory at once.
    pub(super) fn touch(&self, hash: u64) -> u16 {
        self.blocks[self.first(hash)].0[0][0]
    }

    /// Learns a hash.
    pub(super) fn insert(&mut self, hash: u64) {
        if self.is_in(self.newest, hash) {
            return;
        }
        if self.len >= self.capacity {
            self.newest = 1 - self.newest;
            for block in &mut self.blocks {
                block.0[self.newest] = [0; SLOTS];
            }
            self.len = 0;
            self.rotations += 1;
        }
        self.len += 1;
        let first = self.first(hash);
        for block in [first, self.second(hash)] {
            if let Some(free) = self.blocks[block].0[self.newest].iter_mut().find(|slot| **slot == 0) {
                *free = print(hash);
                return;
            }
        }
        // Both are full, which one in some ten thousand meets: another one is forgotten.
        self.blocks[first].0[self.newest][hash as usize % SLOTS] = print(hash);
    }

    /// How often the oldest were forgotten.
    pub(super) fn rotations(&self) -> u64 {
        self.rotations
    }

    fn is_in(&self, half: usize, hash: u64) -> bool {
        let print = print(hash);
        let first = &self.blocks[self.first(hash)].0[half];
        // The second block has it only if there was no room in the first.
        first.contains(&print) || (first[SLOTS - 1] != 0 && self.blocks[self.second(hash)].0[half].contains(&print))
    }

    fn first(&self, hash: u64) -> usize {
        self.block(hash as u32)
    }

    fn second(&self, hash: u64) -> usize {
        self.block((hash as u32).wrapping_mul(0x9e37_79b1).rotate_left(16))
    }

    fn block(&self, part: u32) -> usize {
        ((u64::from(part) * self.blocks.len() as u64) >> 32) as usize
    }
}

/// Never 0. From bits that do not choose the block.
fn print(hash: u64) -> u16 {
    let print = (hash >> 48) as u16;
    print.max(1)
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher as _, Hasher as _};

    use super::*;

    fn hashes(seed: u64, count: u64) -> Vec<u64> {
        let state = foldhash::fast::FixedState::default();
        let hash = |number: u64| {
            let mut hasher = state.build_hasher();
            hasher.write_u64(number + (seed << 32));
            hasher.finish()
        };
        (0..count).map(hash).collect()
    }

    #[test]
    fn the_newest_are_known_whatever_comes() {
        const CAPACITY: usize = 5000;
        let mut filter = Rolling::new(CAPACITY);
        let all = hashes(1, 40_000);
        for (at, hash) in all.iter().enumerate() {
            filter.insert(*hash);
            if at % 1000 == 0 {
                let newest = &all[(at + 1).saturating_sub(CAPACITY)..=at];
                let known = newest.iter().filter(|hash| filter.contains(**hash)).count();
                // One that finds no room pushes out one other.
                assert!(known + 2 >= newest.len(), "{known} of {}", newest.len());
            }
        }
        assert!(filter.rotations() >= 40_000 / CAPACITY as u64 - 2, "{}", filter.rotations());
        assert_eq!(filter.bytes(), CAPACITY * 8);
    }

    #[test]
    fn strangers_are_seldom_taken_for_known_ones() {
        let mut filter = Rolling::new(50_000);
        for hash in hashes(1, 100_000) {
            filter.insert(hash);
        }
        let strangers = hashes(2, 200_000);
        let wrong = strangers.iter().filter(|hash| filter.contains(**hash)).count();
        // Two halves of eight fingerprints of 16 bits: 2.4e-4 on average.
        assert!(wrong < 80, "{wrong} of 200000");
    }

    #[test]
    fn the_same_again_and_again_leaves_room_for_others() {
        let mut filter = Rolling::new(1000);
        (0..100_000).for_each(|_| filter.insert(42));
        let others = hashes(3, 900);
        for hash in &others {
            filter.insert(*hash);
        }
        assert!(others.iter().all(|hash| filter.contains(*hash)));
    }
}
