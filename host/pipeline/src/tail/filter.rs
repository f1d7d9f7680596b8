//! Which traces were dropped: cuckoo filters, two bytes and a little for each. One that is full makes way for the next, so that the newest are always known.
//!
//! A trace that was never there is taken for one of them once in some ten thousand times: its spans are dropped as late ones are.

/// Fingerprints in a bucket.
const BUCKET: usize = 4;
/// How often one fingerprint may push out another before the filter counts as full.
const KICKS: usize = 200;
/// How full a filter becomes before the next one begins.
const LOAD: f64 = 0.9;

/// Never 0. From bits that do not choose the bucket.
fn print(hash: u64) -> u16 {
    let print = (hash >> 48) as u16;
    print.max(1)
}

/// The same bucket of the filter that is filled and of the one before, beside each other in memory: who looks for a hash looks into both.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(16))]
struct Pair([[u16; BUCKET]; 2]);

/// The newest hashes: at least `capacity` of them, up to twice as many.
#[derive(Debug)]
pub(super) struct Rolling {
    /// A fingerprint that is 0 is none.
    buckets: Box<[Pair]>,
    /// Which of each pair is filled.
    newest: usize,
    /// How many hashes are in it.
    len: usize,
    capacity: usize,
    rotations: u64,
    /// For the choice of who is pushed out.
    turn: u64,
}

impl Rolling {
    /// Knows at least so many.
    pub(super) fn new(capacity: usize) -> Self {
        let buckets = ((capacity as f64 / LOAD) as usize).div_ceil(BUCKET).max(1).next_power_of_two();
        Self {
            buckets: vec![Pair::default(); buckets].into_boxed_slice(),
            newest: 0,
            len: 0,
            capacity: capacity.max(1),
            rotations: 0,
            turn: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// How many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&self.buckets[..])
    }

    /// Whether a hash is known, or taken for one that is.
    pub(super) fn contains(&self, hash: u64) -> bool {
        let (bucket, print) = self.place(hash);
        let is_in = |bucket: usize| self.buckets[bucket].0.as_flattened().contains(&print);
        is_in(bucket) || is_in(self.other(bucket, print))
    }

    /// Learns a hash.
    pub(super) fn insert(&mut self, hash: u64) {
        if self.len >= self.capacity || !self.try_insert(hash) {
            self.newest = 1 - self.newest;
            for pair in &mut self.buckets {
                pair.0[self.newest] = [0; BUCKET];
            }
            self.len = 0;
            self.rotations += 1;
            self.try_insert(hash);
        }
    }

    /// How often the oldest were forgotten.
    pub(super) fn rotations(&self) -> u64 {
        self.rotations
    }

    /// Answers whether there was room. Where not, some hash that was in it is not any more.
    fn try_insert(&mut self, hash: u64) -> bool {
        let (bucket, mut print) = self.place(hash);
        let other = self.other(bucket, print);
        if self.put(bucket, print) || self.put(other, print) {
            return true;
        }
        let mut bucket = other;
        for _ in 0..KICKS {
            self.turn = self.turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let victim = (self.turn >> 60) as usize % BUCKET;
            std::mem::swap(&mut self.buckets[bucket].0[self.newest][victim], &mut print);
            bucket = self.other(bucket, print);
            if self.put(bucket, print) {
                return true;
            }
        }
        false
    }

    fn put(&mut self, bucket: usize, print: u16) -> bool {
        let free = self.buckets[bucket].0[self.newest].iter_mut().find(|slot| **slot == 0);
        let is_put = free.map(|slot| *slot = print).is_some();
        self.len += usize::from(is_put);
        is_put
    }

    fn place(&self, hash: u64) -> (usize, u16) {
        (hash as usize & (self.buckets.len() - 1), print(hash))
    }

    fn other(&self, bucket: usize, print: u16) -> usize {
        // Its own inverse.
        (bucket ^ (usize::from(print).wrapping_mul(0x5bd1_e995))) & (self.buckets.len() - 1)
    }
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
                // One that finds no room pushes out one other, just before the next filter begins.
                assert!(known + 2 >= newest.len(), "{known} of {}", newest.len());
            }
        }
        assert!(filter.rotations() >= 40_000 / CAPACITY as u64 - 2, "{}", filter.rotations());
        assert_eq!(filter.bytes(), 2 * 2 * 8192);
    }

    #[test]
    fn strangers_are_seldom_taken_for_known_ones() {
        let mut filter = Rolling::new(50_000);
        for hash in hashes(1, 100_000) {
            filter.insert(hash);
        }
        let strangers = hashes(2, 200_000);
        let wrong = strangers.iter().filter(|hash| filter.contains(**hash)).count();
        // Two filters, two buckets, four fingerprints of 16 bits: 2.4e-4 at most.
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
