//! Values under numbers, in pages: it grows without moving what it holds, and gives back each page that nothing is left on.

use std::collections::BTreeSet;

/// How many values a page has.
const PAGE: usize = 1024;

/// No number of any value.
pub(super) const NONE: u32 = u32::MAX;

/// The values.
#[derive(Debug)]
pub(super) struct Slab<T> {
    pages: Vec<Option<Page<T>>>,
    /// Pages with room, so that the first ones fill up and the last ones run empty.
    with_room: BTreeSet<u32>,
    /// How many pages there are.
    held: usize,
    len: usize,
}

#[derive(Debug)]
struct Page<T> {
    values: Box<[T]>,
    taken: Box<[bool]>,
    free: Vec<u16>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { pages: Vec::new(), with_room: BTreeSet::new(), held: 0, len: 0 }
    }
}

impl<T: Copy + Default> Slab<T> {
    /// How many bytes its pages take.
    pub(super) fn bytes(&self) -> usize {
        self.held * Self::PAGE_BYTES + self.pages.capacity() * size_of::<Option<Page<T>>>()
    }

    /// What a page takes: by so much it grows at once.
    pub(super) const PAGE_BYTES: usize = PAGE * (size_of::<T>() + size_of::<bool>() + size_of::<u16>());

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Puts a value somewhere.
    pub(super) fn put(&mut self, value: T) -> u32 {
        let page_number = self.with_room.first().copied().unwrap_or_else(|| self.add_page());
        let page = self.pages[page_number as usize].as_mut().expect("a page with room is there");
        let at = page.free.pop().expect("it has room");
        page.values[at as usize] = value;
        page.taken[at as usize] = true;
        if page.free.is_empty() {
            self.with_room.remove(&page_number);
        }
        self.len += 1;
        page_number * PAGE as u32 + u32::from(at)
    }

    /// A value that was put.
    pub(super) fn get(&self, number: u32) -> &T {
        let page = self.pages[number as usize / PAGE].as_ref().expect("what is taken is on a page");
        &page.values[number as usize % PAGE]
    }

    /// Whether there is a value under this number.
    pub(super) fn is_taken(&self, number: u32) -> bool {
        let page = self.pages.get(number as usize / PAGE).and_then(Option::as_ref);
        page.is_some_and(|page| page.taken[number as usize % PAGE])
    }

    /// A value that was put.
    pub(super) fn get_mut(&mut self, number: u32) -> &mut T {
        let page = self.pages[number as usize / PAGE].as_mut().expect("what is taken is on a page");
        &mut page.values[number as usize % PAGE]
    }

    /// Lets go of a value.
    pub(super) fn remove(&mut self, number: u32) -> T {
        let (page_number, at) = (number / PAGE as u32, number as usize % PAGE);
        let place = &mut self.pages[page_number as usize];
        let page = place.as_mut().expect("what is taken is on a page");
        let value = page.values[at];
        page.taken[at] = false;
        if page.free.is_empty() {
            self.with_room.insert(page_number);
        }
        page.free.push(at as u16);
        self.len -= 1;
        if page.free.len() == PAGE {
            *place = None;
            self.held -= 1;
            self.with_room.remove(&page_number);
        }
        value
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(&self.pages).filter_map(|(number, page)| Some((number, page.as_ref()?))).flat_map(|(number, page)| {
            let first = number * PAGE as u32;
            (first..).zip(&page.values).zip(&page.taken).filter_map(|(value, taken)| taken.then_some(value))
        })
    }

    fn add_page(&mut self) -> u32 {
        let number = self.pages.iter().position(Option::is_none).unwrap_or_else(|| {
            self.pages.push(None);
            self.pages.len() - 1
        });
        let free = (0..PAGE as u16).rev().collect();
        let (values, taken) = (vec![T::default(); PAGE].into_boxed_slice(), vec![false; PAGE].into_boxed_slice());
        self.pages[number] = Some(Page { values, taken, free });
        self.held += 1;
        self.with_room.insert(number as u32);
        number as u32
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pages_are_given_back_and_what_is_left_stays_where_it_is() {
        let mut slab = Slab::default();
        let numbers: Vec<u32> = (0..3 * PAGE as u64).map(|value| slab.put(value)).collect();
        let full = slab.bytes();
        for number in &numbers[PAGE..2 * PAGE] {
            slab.remove(*number);
        }
        assert_eq!(full - slab.bytes(), Slab::<u64>::PAGE_BYTES);
        assert_eq!((*slab.get(numbers[0]), *slab.get(numbers[2 * PAGE])), (0, 2 * PAGE as u64));
        slab.put(7);
        assert_eq!(slab.bytes(), full);
    }

    proptest! {
        #[test]
        fn it_is_a_map(steps in proptest::collection::vec((any::<bool>(), any::<u32>()), 1..4000)) {
            let mut slab = Slab::default();
            let mut model: HashMap<u32, u32> = HashMap::new();
            let mut numbers = Vec::new();
            for (puts, value) in steps {
                if puts || numbers.is_empty() {
                    let number = slab.put(value);
                    prop_assert!(model.insert(number, value).is_none(), "{number} is taken");
                    numbers.push(number);
                } else {
                    let number = numbers.swap_remove(value as usize % numbers.len());
                    prop_assert_eq!(Some(slab.remove(number)), model.remove(&number));
                }
                prop_assert_eq!(slab.len(), model.len());
            }
            for (number, value) in model {
                prop_assert_eq!(*slab.get(number), value);
            }
        }
    }
}
