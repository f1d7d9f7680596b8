//! Mutations of a corpus, the same for the same seed.

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

/// Makes inputs out of a corpus.
pub struct Mutator {
    random: SmallRng,
    corpus: Vec<Vec<u8>>,
    largest: usize,
}

/// Bytes that mean something in protobuf and JSON: ends of varints, field headers, quotes, brackets.
const TELLING: &[u8] =
    &[0x00, 0x01, 0x7f, 0x80, 0xff, 0x0a, 0x12, 0x1a, 0x0b, 0x0c, 0x3a, 0x48, b'"', b'{', b'[', b'\\', b'0'];

impl Mutator {
    /// For a corpus that is not empty.
    pub fn new(seed: u64, corpus: Vec<Vec<u8>>) -> Self {
        assert!(!corpus.is_empty(), "there is nothing to mutate");
        let largest = corpus.iter().map(Vec::len).max().unwrap_or(0) * 2 + 64;
        Self { random: SmallRng::seed_from_u64(seed), corpus, largest }
    }

    /// The next input: one of the corpus with one change, or a few: after many hardly anything is left to read.
    pub fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.pick().clone();
        let changes = if self.random.random_bool(0.6) { 1 } else { self.random.random_range(2..=5) };
        for _ in 0..changes {
            self.change(&mut input);
            input.truncate(self.largest);
        }
        input
    }

    /// The same with other choices in its last eight bytes: random mutations hardly ever hit them.
    pub fn next_with_choices(&mut self) -> Vec<u8> {
        let mut input = self.next_input();
        let choices: [u8; 8] = self.random.random();
        if let Some(last) = input.last_chunk_mut::<8>() {
            *last = choices;
        }
        input
    }

    fn pick(&mut self) -> &Vec<u8> {
        let at = self.random.random_range(0..self.corpus.len());
        &self.corpus[at]
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        if input.is_empty() {
            input.push(self.random.random());
            return;
        }
        let at = self.random.random_range(0..input.len());
        let end = (at + self.random.random_range(1..64)).min(input.len());
        match self.random.random_range(0..9) {
            0 => input[at] ^= 1 << self.random.random_range(0..8),
            1 => input[at] = self.random.random(),
            2 => input[at] = TELLING[self.random.random_range(0..TELLING.len())],
            3 => input.insert(at, TELLING[self.random.random_range(0..TELLING.len())]),
            4 => drop(input.drain(at..end)),
            5 => input.truncate(at),
            6 => {
                let again = input[at..end].to_vec();
                input.splice(at..at, again);
            }
            7 => {
                // A length or a number a little off: what index arithmetic gets wrong.
                let by = self.random.random_range(1..4_u8);
                input[at] = if self.random.random() { input[at].wrapping_add(by) } else { input[at].wrapping_sub(by) };
            }
            _ => {
                let other = self.pick().clone();
                let from = self.random.random_range(0..=other.len());
                input.splice(at..end, other[from..].iter().copied());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! The short run has to be repeatable.

    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_inputs() {
        let make = |seed| {
            let mut mutator = Mutator::new(seed, vec![b"some bytes".to_vec(), b"others".to_vec()]);
            (0..100).map(|_| mutator.next_input()).collect::<Vec<_>>()
        };
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
    }
}
