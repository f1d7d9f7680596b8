//! Building a column from a batch, as it stands with all edits so far. `entries` columns are built in
//! [`super::entries`].

use super::cells::{self, ABSENT, Collected, OTHER, Presence};
use super::intern::Interner;
use super::{Cells, Column, Texts};
use crate::batch::Batch;
use crate::find::{self, Field, Shared, Source};
use crate::path::{Layout, Want};
use crate::value::Value;
use crate::wire::Slice;

/// Builds columns and keeps the memory that building takes.
#[derive(Debug, Default)]
pub struct Builder {
    interner: Interner,
}

impl Builder {
    /// The column that `want` asks for, over `rows` of the batch.
    ///
    /// Wants that [`Want::new`] refuses give a column without a value; `entries` and paths that stand for many places
    /// are built in [`super::entries`], and empty here.
    #[must_use]
    pub fn build(&mut self, batch: &Batch, rows: &[u32], want: &Want) -> Column {
        let (layout, count) = (want.layout, rows.len());
        let spans = rows.iter().map(|&row| &batch.spans[row as usize]);
        let Some(source) = Source::of(&want.path) else {
            return self.collect(layout, count, rows.iter().map(|_| None));
        };
        match source {
            Source::Text(part) => self.collect(layout, count, spans.map(|span| find::own_text(batch, part(span)))),
            Source::Number(number) => {
                // Numbers of a span are never absent.
                let numbers = spans.map(|span| number(batch, span)).collect();
                Column { present: Vec::new(), cells: Cells::Integers(numbers) }
            }
            Source::Attribute(key) => {
                self.collect(layout, count, spans.map(|span| find::attribute(batch, span.attributes, &key)))
            }
            Source::Id(part, len) => match layout {
                Layout::Text => hex_texts(batch, count, spans.map(part)),
                Layout::Words => self.hex_words(batch, count, spans.map(part)),
                _ => ids(batch, count, len, spans.map(part)),
            },
            Source::Shared(shared) => self.shared(batch, rows, layout, shared),
            Source::Request(field) => self.request(batch, rows, layout, field),
        }
    }

    /// A column of `count` values from elsewhere, as of a lookup table. A value of another type leaves its row empty; `ids` and `entries`
    /// have no such column, and come without a value.
    pub fn collect<'b>(
        &mut self,
        layout: Layout,
        count: usize,
        values: impl Iterator<Item = Option<Value<'b>>>,
    ) -> Column {
        cells::collect(&mut self.interner, layout, count, values)
    }

    /// Values of scopes and resources: looked up once for each scope, however its rows are mixed with others.
    fn shared(&mut self, batch: &Batch, rows: &[u32], layout: Layout, shared: Shared<'_>) -> Column {
        let mut known = Known::new(batch.scopes.len());
        let values = rows.iter().map(|&row| {
            let scope = batch.spans[row as usize].scope;
            known.get(scope, || shared.get(batch, scope))
        });
        cells::collect(&mut self.interner, layout, rows.len(), values)
    }

    /// What came with the requests: looked up once for each.
    fn request(&mut self, batch: &Batch, rows: &[u32], layout: Layout, field: Field<'_>) -> Column {
        let mut known = Known::new(batch.requests.len());
        let values = rows.iter().map(|&row| {
            let request = batch.spans[row as usize].request;
            known.get(request, || field.get(&batch.requests[request as usize].context))
        });
        cells::collect(&mut self.interner, layout, rows.len(), values)
    }

    /// Ids as words: told apart as bytes, and written as hex at the end.
    fn hex_words(&mut self, batch: &Batch, count: usize, parts: impl Iterator<Item = Slice>) -> Column {
        let (mut presence, mut words) = (Presence::default(), self.interner.begin(count));
        for part in parts {
            if let Some(id) = find::id(batch, part) {
                presence.there();
                words.push(id);
            } else {
                presence.not_there(ABSENT);
                words.push_none();
            }
        }
        let mut words = words.finish();
        let mut hex = Vec::with_capacity(words.words.data.len() * 2);
        put_hex(&mut hex, &words.words.data);
        words.words.data = hex;
        words.words.offsets.iter_mut().for_each(|offset| *offset *= 2);
        Column { present: presence.finish(), cells: Cells::Words(words) }
    }
}

/// Builds one column. [`Builder`] does the same and keeps its memory.
#[must_use]
pub fn build(batch: &Batch, rows: &[u32], want: &Want) -> Column {
    Builder::default().build(batch, rows, want)
}

/// Whether a want is for [`super::entries`] and not for this module.
#[must_use]
pub fn is_entries(want: &Want) -> bool {
    want.layout == Layout::Entries || want.path.is_many()
}

/// Values by owner, each looked up when its owner is first met.
pub(super) struct Known<V> {
    last: u32,
    value: Option<V>,
    all: Vec<Look<V>>,
}

#[derive(Debug, Clone, Copy)]
enum Look<V> {
    NotYet,
    Done(Option<V>),
}

impl<V: Copy> Known<V> {
    pub(super) fn new(owners: usize) -> Self {
        Self { last: u32::MAX, value: None, all: vec![Look::NotYet; owners] }
    }

    #[inline]
    pub(super) fn get(&mut self, owner: u32, look_up: impl FnOnce() -> Option<V>) -> Option<V> {
        if owner != self.last {
            self.last = owner;
            self.value = match self.all[owner as usize] {
                Look::Done(value) => value,
                Look::NotYet => {
                    let value = look_up();
                    self.all[owner as usize] = Look::Done(value);
                    value
                }
            };
        }
        self.value
    }
}

fn ids(batch: &Batch, count: usize, len: usize, parts: impl Iterator<Item = Slice>) -> Column {
    let mut presence = Presence::default();
    let mut cells = Vec::with_capacity(count * len);
    for part in parts {
        match find::id(batch, part) {
            Some(id) if id.len() == len => {
                presence.there();
                cells.extend_from_slice(id);
            }
            other => {
                presence.not_there(if other.is_some() { OTHER } else { ABSENT });
                cells.resize(cells.len() + len, 0);
            }
        }
    }
    Column { present: presence.finish(), cells: Cells::Ids(cells) }
}

fn hex_texts(batch: &Batch, count: usize, parts: impl Iterator<Item = Slice>) -> Column {
    let mut presence = Presence::default();
    let mut texts: Texts = cells::empty_texts(count * 2);
    for part in parts {
        if let Some(id) = find::id(batch, part) {
            presence.there();
            put_hex(&mut texts.data, id);
        } else {
            presence.not_there(ABSENT);
        }
        texts.offsets.push(texts.data.len() as u32);
    }
    Collected(presence, texts).column(Cells::Text)
}

/// Appends bytes as lower-case hex.
pub(crate) fn put_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend(bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]));
}
