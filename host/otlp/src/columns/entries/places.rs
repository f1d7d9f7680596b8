//! Places as codes: each distinct place once, found again without being spelled.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::walk::{Base, Place};
use crate::columns::Words;
use crate::find::same;
use crate::path::put_key;

/// How many keys are found by their ends, without hashing: the attributes of a few kinds of spans.
const SLOTS: usize = 256;

/// The dictionary of a column's places. Key bytes are remembered in place of spellings, so that one compare finds a code.
#[derive(Debug)]
pub(super) struct Places<'b> {
    /// Code `u32::MAX` is an empty slot.
    slots: Vec<(Base, &'b [u8], u32)>,
    table: HashTable<u32>,
    hasher: FixedState,
    spelling: String,
}

impl<'b> Places<'b> {
    pub(super) fn new() -> Self {
        Self {
            slots: vec![(Base::Name, &[], u32::MAX); SLOTS],
            table: HashTable::new(),
            hasher: FixedState::default(),
            spelling: String::new(),
        }
    }

    /// The code of a place.
    #[inline]
    pub(super) fn code(&mut self, place: &Place<'_, 'b>, words: &mut Words) -> u32 {
        if !place.nested.is_empty() {
            return self.spell(place, words);
        }
        let key = place.key;
        let slot = slot(place.base, key);
        let (base, known, code) = self.slots[slot];
        if base == place.base && same(known, key) && code != u32::MAX {
            return code;
        }
        let code = self.spell(place, words);
        self.slots[slot] = (place.base, key, code);
        code
    }

    #[cold]
    fn spell(&mut self, place: &Place<'_, 'b>, words: &mut Words) -> u32 {
        let spelling = &mut self.spelling;
        spelling.clear();
        spelling.push_str(name(place.base));
        if has_key(place.base) {
            for key in std::iter::once(&place.key).chain(place.nested) {
                put_key(spelling, &String::from_utf8_lossy(key)).expect("a String takes everything");
            }
        }
        let (words, text) = (&mut words.words, spelling.as_bytes());
        let hash = self.hasher.hash_one(text);
        if let Some(&code) = self.table.find(hash, |&code| words.get(code as usize) == Some(text)) {
            return code;
        }
        let code = words.len() as u32;
        words.push(text);
        let hasher = &self.hasher;
        self.table.insert_unique(hash, code, |&code| hasher.hash_one(words.get(code as usize).unwrap_or_default()));
        code
    }
}

#[inline]
fn slot(base: Base, key: &[u8]) -> usize {
    let last = key.last_chunk::<8>().map_or(0, |chunk| u64::from_le_bytes(*chunk));
    let first = key.first_chunk::<4>().map_or(0, |chunk| u64::from(u32::from_le_bytes(*chunk)));
    let mixed = (last ^ first << 17 ^ (key.len() as u64) << 5 ^ base as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 56) as usize
}

/// Whether a place has the key of an attribute.
pub(crate) fn has_key(base: Base) -> bool {
    matches!(
        base,
        Base::Attribute | Base::EventAttribute | Base::LinkAttribute | Base::ScopeAttribute | Base::ResourceAttribute
    )
}

fn name(base: Base) -> &'static str {
    match base {
        Base::Name => "name",
        Base::TraceState => "trace_state",
        Base::StatusMessage => "status.message",
        Base::Attribute => "attributes",
        Base::EventName => "events.name",
        Base::EventTime => "events.time_unix_nano",
        Base::EventAttribute => "events.attributes",
        Base::LinkTraceId => "links.trace_id",
        Base::LinkSpanId => "links.span_id",
        Base::LinkTraceState => "links.trace_state",
        Base::LinkAttribute => "links.attributes",
        Base::ScopeName => "scope.name",
        Base::ScopeVersion => "scope.version",
        Base::ScopeSchemaUrl => "scope.schema_url",
        Base::ScopeAttribute => "scope.attributes",
        Base::ResourceSchemaUrl => "resource.schema_url",
        Base::ResourceAttribute => "resource.attributes",
    }
}
