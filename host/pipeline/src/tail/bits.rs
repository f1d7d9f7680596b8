//! Which bit stands for which sampler in what a trace remembers of its `early` conditions: the same as long as the buffer lives, whatever becomes of the
//! folder.

use std::sync::Arc;

use arc_swap::ArcSwap;

/// So many have one.
const MOST: usize = 64;

/// The samplers that have had a bit so far.
#[derive(Debug, Default)]
pub(super) struct Bits(ArcSwap<Vec<Arc<str>>>);

impl Bits {
    /// A sampler's bit; 0 where there are too many: it is not asked early.
    pub(super) fn of(&self, name: &str) -> u64 {
        if let Some(at) = position(&self.0.load(), name) {
            return 1 << at;
        }
        self.0.rcu(|known| {
            let mut known = Vec::clone(known);
            if known.len() < MOST && position(&known, name).is_none() {
                known.push(name.into());
            }
            known
        });
        position(&self.0.load(), name).map_or(0, |at| 1 << at)
    }
}

fn position(known: &[Arc<str>], name: &str) -> Option<usize> {
    known.iter().position(|known| **known == *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_its_bit_and_those_beyond_have_none() {
        let bits = Bits::default();
        assert_eq!((bits.of("a"), bits.of("b"), bits.of("a")), (1, 2, 1));
        let all: Vec<u64> = (0..70).map(|number| bits.of(&format!("sampler {number}"))).collect();
        assert_eq!((all[61], all[62], bits.of("b")), (1 << 63, 0, 2));
    }
}
