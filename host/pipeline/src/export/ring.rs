//! Which of several endpoints a trace belongs to: rendezvous hashing, highest weight wins. Knows names and ids, nothing of queues.
//!
//! Every tracemill that knows the same names comes to the same answer, whatever their order, whatever its version and machine: the
//! function is part of what is promised, and a test holds it fast. That is why it is written out here. An endpoint that goes takes its own
//! traces along and no others; one that comes takes its share from each.

use sha2::{Digest as _, Sha256};

/// The endpoints of one time.
#[derive(Debug, Clone, Default)]
pub(super) struct Ring {
    /// What stands for each name. In the order of the names that it was made of.
    seeds: Vec<u64>,
}

impl Ring {
    /// Of these names, no two alike.
    pub fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let seed = |name: &str| {
            let digest = Sha256::digest(name.as_bytes());
            u64::from_le_bytes(digest[..8].try_into().expect("it has 32 bytes"))
        };
        Self { seeds: names.map(seed).collect() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.seeds.len()
    }

    /// To which of them, by its place, a trace belongs; 0 where there is none.
    pub fn owner(&self, trace: &[u8]) -> usize {
        let id = digest(trace);
        let weight = |&(_, seed): &(usize, &u64)| (mixed(id ^ seed), *seed);
        self.seeds.iter().enumerate().max_by_key(weight).map_or(0, |(at, _)| at)
    }
}

/// A trace id as one number. Valid ones have sixteen bytes; others are no reason to fail.
fn digest(trace: &[u8]) -> u64 {
    let mut id = [0; 16];
    let len = trace.len().min(16);
    id[..len].copy_from_slice(&trace[..len]);
    let (high, low) = id.split_at(8);
    let number = |half: &[u8]| u64::from_le_bytes(half.try_into().expect("half of sixteen"));
    // Ids that are random in one half only are spread as well.
    mixed(number(high)).wrapping_add(number(low))
}

/// The finalizer of `MurmurHash3`: every bit of the number reaches every bit of the answer.
fn mixed(mut number: u64) -> u64 {
    number ^= number >> 33;
    number = number.wrapping_mul(0xff51_afd7_ed55_8ccd);
    number ^= number >> 33;
    number = number.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    number ^ (number >> 33)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("http://10.0.{}.{}:4317", n / 250, n % 250)).collect()
    }

    fn ring(names: &[String]) -> Ring {
        Ring::new(names.iter().map(String::as_str))
    }

    /// Ids that are as usual, and ids that count up.
    fn ids() -> impl Iterator<Item = [u8; 16]> {
        (0..20_000u128)
            .map(|n| if n % 2 == 0 { n.to_be_bytes() } else { (n * 0x9e37_79b9_7f4a_7c15_f39c).to_le_bytes() })
    }

    #[test]
    fn each_has_about_its_share() {
        for count in [2, 3, 7, 30] {
            let ring = ring(&names(count));
            let mut shares = vec![0; count];
            ids().for_each(|id| shares[ring.owner(&id)] += 1);
            let fair = 20_000 / count;
            assert!(shares.iter().all(|share| (fair * 4 / 5..fair * 5 / 4).contains(share)), "{shares:?}");
        }
    }

    #[test]
    fn a_change_moves_what_it_must_and_nothing_else() {
        let all = names(8);
        let (whole, fewer) = (ring(&all), ring(&all[..7]));
        let mut moved = 0;
        for id in ids() {
            let owner = whole.owner(&id);
            if owner == 7 {
                moved += 1;
            } else {
                assert_eq!(fewer.owner(&id), owner, "{id:?}");
            }
        }
        assert!((2_000..3_000).contains(&moved), "about an eighth of 20000: {moved}");
    }

    #[test]
    fn other_versions_and_machines_agree() {
        let ring = ring(&names(5));
        let owners: Vec<_> = (0..12u8).map(|n| ring.owner(&[n; 16])).collect();
        assert_eq!(owners, [2, 0, 0, 1, 4, 3, 0, 4, 0, 4, 1, 3]);
    }

    proptest! {
        #[test]
        fn the_order_of_the_names_says_nothing(count in 1usize..20, turn in 0usize..20, id in prop::collection::vec(any::<u8>(), 0..20)) {
            let all = names(count);
            let mut turned = all.clone();
            turned.rotate_left(turn % count);
            prop_assert_eq!(&all[ring(&all).owner(&id)], &turned[ring(&turned).owner(&id)]);
        }
    }
}
