//! Values that many share: each is kept once, under a number, until its last user leaves.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use hashbrown::HashTable;

/// What a place takes beside its value: the count, the hash and the table.
const UPKEEP: usize = 40;

/// Fewer places than this are not worth giving back.
const SOME: usize = 1024;

/// Values with their users.
#[derive(Debug)]
pub(super) struct Shared<T> {
    values: Vec<Option<Used<T>>>,
    /// Places without a value, the first ones first, so that the last ones can be given back. Some of them may have been given back, or taken again.
    free: BinaryHeap<Reverse<u32>>,
    numbers: HashTable<u32>,
    bytes: usize,
}

#[derive(Debug)]
struct Used<T> {
    value: T,
    users: u32,
    hash: u64,
    bytes: usize,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self { values: Vec::new(), free: BinaryHeap::new(), numbers: HashTable::new(), bytes: 0 }
    }
}

impl<T> Shared<T> {
    /// How many bytes they take: what their makers have said, and the upkeep.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
            + self.values.capacity() * size_of::<Option<Used<T>>>()
            + (self.free.capacity() + self.numbers.capacity()) * size_of::<u32>()
    }

    /// Finds a value of this hash that `is_it`, or makes it, with the bytes that it has elsewhere. It has one user more.
    pub(super) fn enter(&mut self, hash: u64, is_it: impl Fn(&T) -> bool, make: impl FnOnce() -> (T, usize)) -> u32 {
        let values = &self.values;
        let known = self.numbers.find(hash, |&number| {
            let used = at(values, number);
            used.hash == hash && is_it(&used.value)
        });
        if let Some(&number) = known {
            self.share(number);
            return number;
        }
        let (value, bytes) = make();
        let used = Used { value, users: 1, hash, bytes: bytes + UPKEEP };
        self.bytes += used.bytes;
        let number = self.free_place();
        match self.values.get_mut(number as usize) {
            Some(free) => *free = Some(used),
            None => self.values.push(Some(used)),
        }
        let values = &self.values;
        self.numbers.insert_unique(hash, number, |&number| at(values, number).hash);
        number
    }

    /// One user more.
    pub(super) fn share(&mut self, number: u32) {
        self.values[number as usize].as_mut().expect("it has a user").users += 1;
    }

    /// A value that has a user.
    pub(super) fn get(&self, number: u32) -> &T {
        &at(&self.values, number).value
    }

    /// All of them.
    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.values.iter().flatten().map(|used| &used.value)
    }

    /// One user less. Answers the value if that was the last.
    pub(super) fn leave(&mut self, number: u32) -> Option<T> {
        let place = &mut self.values[number as usize];
        let used = place.as_mut().expect("it has a user");
        used.users -= 1;
        if used.users > 0 {
            return None;
        }
        let used = place.take().expect("it had a user");
        self.bytes -= used.bytes;
        if let Ok(found) = self.numbers.find_entry(used.hash, |known| *known == number) {
            found.remove();
        }
        self.free.push(Reverse(number));
        self.trim();
        Some(used.value)
    }

    fn free_place(&mut self) -> u32 {
        while let Some(Reverse(number)) = self.free.pop() {
            if self.is_free(number) {
                return number;
            }
        }
        self.values.len() as u32
    }

    fn is_free(&self, number: u32) -> bool {
        self.values.get(number as usize).is_some_and(Option::is_none)
    }

    /// Gives back places at the end.
    fn trim(&mut self) {
        while self.values.last().is_some_and(Option::is_none) {
            self.values.pop();
        }
        let is_loose = |len: usize, capacity: usize| capacity > SOME && len < capacity / 4;
        if is_loose(self.values.len(), self.values.capacity()) {
            self.values.shrink_to(self.values.len() * 2);
            let mut free = std::mem::take(&mut self.free).into_vec();
            free.retain(|Reverse(number)| self.is_free(*number));
            free.sort_unstable();
            free.dedup();
            free.shrink_to_fit();
            self.free = free.into();
        }
        if is_loose(self.numbers.len(), self.numbers.capacity()) {
            let values = &self.values;
            self.numbers.shrink_to(self.numbers.len() * 2, |&number| at(values, number).hash);
        }
    }
}

fn at<T>(values: &[Option<Used<T>>], number: u32) -> &Used<T> {
    values[number as usize].as_ref().expect("what has a number has a user")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn places_are_given_back_when_many_are_free() {
        let mut shared = Shared::<u32>::default();
        let numbers: Vec<u32> =
            (0..10_000).map(|value| shared.enter(u64::from(value), |known| *known == value, || (value, 0))).collect();
        let full = shared.bytes();
        for number in &numbers[100..] {
            shared.leave(*number);
        }
        assert!(shared.bytes() < full / 10, "{} of {full}", shared.bytes());
        for value in 20_000..20_100 {
            shared.enter(u64::from(value), |known| *known == value, || (value, 0));
        }
        assert!(numbers[..100].iter().all(|number| *shared.get(*number) == *number));
        assert_eq!(shared.values().count(), 200);
    }

    proptest! {
        #[test]
        fn each_is_there_once_as_long_as_somebody_uses_it(steps in proptest::collection::vec((0_u8..8, any::<bool>()), 1..300)) {
            let mut shared = Shared::<u8>::default();
            let mut users = [const { Vec::new() }; 8];
            for (value, enters) in steps {
                // Half of the values have the same hash.
                let hash = u64::from(value) / 2;
                let of = &mut users[value as usize];
                if enters {
                    of.push(shared.enter(hash, |known| *known == value, || (value, 100)));
                } else if let Some(number) = of.pop() {
                    let last = shared.leave(number);
                    prop_assert_eq!(last, of.is_empty().then_some(value));
                }
                for (value, of) in (0..).zip(&users) {
                    prop_assert!(of.iter().all(|number| *number == of[0] && *shared.get(*number) == value));
                }
                let known = users.iter().filter(|of| !of.is_empty()).count();
                prop_assert_eq!(shared.bytes, known * (100 + UPKEEP));
                prop_assert_eq!(shared.numbers.len(), known);
            }
        }
    }
}
