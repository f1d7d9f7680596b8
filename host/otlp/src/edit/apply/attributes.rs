//! Lists of attributes: finding, setting, renaming and removing by key, wherever the list belongs to.
//!
//! A list grows where it stands if the slots behind it are free; otherwise it moves to the end of the batch's attributes,
//! with some free slots for the next ones.

use crate::batch::{Attribute, Batch, Changes, Origin, Run};
use crate::find::same;
use crate::wire::Slice;

/// A key to look for: as text, and as it is written where it is new.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key<'k> {
    pub(crate) bytes: &'k [u8],
    pub(crate) stored: Slice,
}

impl<'k> Key<'k> {
    pub(crate) fn new(batch: &mut Batch, key: &'k str) -> Self {
        Self { bytes: key.as_bytes(), stored: batch.put(key.as_bytes()) }
    }

    #[inline]
    fn is(&self, batch: &Batch, attribute: &Attribute) -> bool {
        attribute.key.len as usize == self.bytes.len() && same(batch.get(attribute.key), self.bytes)
    }
}

/// The first attribute with this key, by its place in [`Batch::attributes`].
#[inline]
pub(crate) fn find(batch: &Batch, run: Run, key: &Key<'_>) -> Option<usize> {
    let at = batch.attributes(run).iter().position(|attribute| key.is(batch, attribute))?;
    Some(run.start as usize + at)
}

/// Sets every attribute with this key, or adds one. Answers what has changed.
#[inline]
pub(crate) fn set(batch: &mut Batch, run: &mut Run, key: &Key<'_>, value: Slice) -> Changes {
    let Some(first) = find(batch, *run, key) else {
        append(batch, run, Attribute { key: key.stored, value, origin: Origin::ADDED });
        return Changes::ADDED_ATTRIBUTES;
    };
    let mut changes = Changes::default();
    for at in first..run.range().end {
        if at == first || key.is(batch, &batch.attributes[at]) {
            let attribute = &mut batch.attributes[at];
            attribute.value = value;
            changes.add(change_of_value(attribute.origin));
            attribute.origin = attribute.origin.changed();
        }
    }
    changes
}

/// What it means for an owner that one of its attributes has another value.
#[inline]
pub(crate) fn change_of_value(origin: Origin) -> Changes {
    if origin.is_short() { Changes::VALUES } else { change_of(origin) }
}

/// What it means for an owner that one of its attributes has another key, or is gone.
#[inline]
fn change_of(origin: Origin) -> Changes {
    if origin.ordinal().is_some() { Changes::ATTRIBUTES } else { Changes::ADDED_ATTRIBUTES }
}

/// Removes every attribute with this key. Answers what has changed.
#[inline]
pub(crate) fn remove(batch: &mut Batch, run: &mut Run, key: &Key<'_>) -> Changes {
    match find(batch, *run, key) {
        Some(first) => remove_from(batch, run, key, first),
        None => Changes::default(),
    }
}

/// Gives the first attribute with the key `from` the key `to`, which must not be there, and removes the others with
/// `from`. Answers what has changed.
pub(crate) fn rename(batch: &mut Batch, run: &mut Run, from: &Key<'_>, to: &Key<'_>) -> Changes {
    let Some(first) = find(batch, *run, from) else { return Changes::default() };
    let attribute = &mut batch.attributes[first];
    let mut changes = change_of(attribute.origin);
    attribute.key = to.stored;
    attribute.origin = attribute.origin.changed();
    changes.add(remove_from(batch, run, from, first + 1));
    changes
}

fn remove_from(batch: &mut Batch, run: &mut Run, key: &Key<'_>, first: usize) -> Changes {
    let mut changes = Changes::default();
    let (mut to, end) = (first, run.range().end);
    for at in first..end {
        let attribute = batch.attributes[at];
        if key.is(batch, &attribute) {
            changes.add(change_of(attribute.origin));
        } else {
            batch.attributes[to] = attribute;
            to += 1;
        }
    }
    batch.attributes[to..end].fill(Attribute::FREE);
    run.len -= (end - to) as u32;
    changes
}

/// Removes the attribute at a place in [`Batch::attributes`], which lies in the run. Answers what has changed.
pub(crate) fn remove_at(batch: &mut Batch, run: &mut Run, at: usize) -> Changes {
    let end = run.range().end;
    let changes = change_of(batch.attributes[at].origin);
    batch.attributes.copy_within(at + 1..end, at);
    batch.attributes[end - 1] = Attribute::FREE;
    run.len -= 1;
    changes
}

fn append(batch: &mut Batch, run: &mut Run, attribute: Attribute) {
    let end = run.range().end;
    match batch.attributes.get_mut(end) {
        Some(slot) if *slot == Attribute::FREE => *slot = attribute,
        None => batch.attributes.push(attribute),
        Some(_) => {
            let start = batch.attributes.len();
            batch.attributes.extend_from_within(run.range());
            batch.attributes.push(attribute);
            // Room for as many as the owners of a plugin's usual additions take; lists that go on growing double.
            let room = 3 + run.len as usize / 4;
            batch.attributes.resize(start + run.len as usize + 1 + room, Attribute::FREE);
            run.start = start as u32;
        }
    }
    run.len += 1;
}
