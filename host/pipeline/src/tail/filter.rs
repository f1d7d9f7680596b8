//! Which traces were dropped: cuckoo filters, two bytes and a little for each. One that is full makes way for the next, so that the newest are always known.
//!
//! A trace that was never there is taken for one of them once in some ten thousand times: its spans are dropped as late ones are.

/// Fingerprints in a bucket.
const BUCKET: usize = 4;
/// How often one fingerprint may push out another before the filter counts as full.
const KICKS: usize = 200;
/// How full a filter becomes before the next one begins.
const LOAD: f64 = 0.9;

/// A set of hashes of which no more can be taken out than all.
#[derive(Debug)]
struct Cuckoo {
    /// 0 is none.
    slots: Box<[u16]>,
    len: usize,
    /// For the choice of who is pushed out.
    turn: u64,
}

impl Cuckoo {
    /// For so many hashes.
    fn new(capacity: usize) -> Self {
        let buckets = ((capacity as f64 / LOAD) as usize).div_ceil(BUCKET).max(1).next_power_of_two();
        Self { slots: vec![0; buckets * BUCKET].into_boxed_slice(), len: 0, turn: 0x9e37_79b9_7f4a_7c15 }
    }

    fn mask(&self) -> usize {
        self.slots.len() / BUCKET - 1
    }

    fn other(&self, bucket: usize, print: u16) -> usize {
        // Its own inverse.
        (bucket ^ (usize::from(print).wrapping_mul(0x5bd1_e995))) & self.mask()
    }

    fn bucket(&self, number: usize) -> &[u16] {
        &self.slots[number * BUCKET..(number + 1) * BUCKET]
    }

    fn contains(&self, hash: u64) -> bool {
        let (bucket, print) = (hash as usize & self.mask(), print(hash));
        self.bucket(bucket).contains(&print) || self.bucket(self.other(bucket, print)).contains(&print)
    }

    /// Answers whether there was room. Where not, some hash that was in it is not any more.
    fn insert(&mut self, hash: u64) -> bool {
        let (bucket, mut print) = (hash as usize & self.mask(), print(hash));
        let other = self.other(bucket, print);
        if self.put(bucket, print) || self.put(other, print) {
            return true;
        }
        let mut bucket = other;
        for _ in 0..KICKS {
            self.turn = self.turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let victim = bucket * BUCKET + (self.turn >> 60) as usize % BUCKET;
            std::mem::swap(&mut self.slots[victim], &mut print);
            bucket = self.other(bucket, print);
            if self.put(bucket, print) {
                return true;
            }
        }
        false
    }

    fn put(&mut self, bucket: usize, print: u16) -> bool {
        let slots = &mut self.slots[bucket * BUCKET..(bucket + 1) * BUCKET];
        let free = slots.iter_mut().find(|slot| **slot == 0);
        let is_put = free.map(|slot| *slot = print).is_some();
        self.len += usize::from(is_put);
        is_put
    }

    fn clear(&mut self) {
        self.slots.fill(0);
        self.len = 0;
    }
}

/// Never 0. From bits that do not choose the bucket.
fn print(hash: u64) -> u16 {
    let print = (hash >> 48) as u16;
    print.max(1)
}

/// The newest hashes: at least `capacity` of them, up to twice as many.
#[derive(Debug)]
pub(super) struct Rolling {
    newest: Cuckoo,
    before: Cuckoo,
    capacity: usize,
    rotations: u64,
}

impl Rolling {
    /// Knows at least so many.
    pub(super) fn new(capacity: usize) -> Self {
        Self { newest: Cuckoo::new(capacity), before: Cuckoo::new(capacity), capacity: capacity.max(1), rotations: 0 }
    }

    /// How many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&self.newest.slots[..]) + size_of_val(&self.before.slots[..])
    }

    /// Whether a hash is known, or taken for one that is.
    pub(super) fn contains(&self, hash: u64) -> bool {
        self.newest.contains(hash) || self.before.contains(hash)
    }

    /// Learns a hash.
    pub(super) fn insert(&mut self, hash: u64) {
        if self.newest.len >= self.capacity || !self.newest.insert(hash) {
            std::mem::swap(&mut self.newest, &mut self.before);
            self.newest.clear();
            self.rotations += 1;
            self.newest.insert(hash);
        }
    }

    /// How often the oldest were forgotten.
    pub(super) fn rotations(&self) -> u64 {
        self.rotations
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
