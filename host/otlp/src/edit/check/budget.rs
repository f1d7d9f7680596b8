//! How many bytes a call's edits could write: an upper estimate, so that no plugin fills the memory.
//!
//! What an edit brings counts once for each row, what it has to write anew (events, links, nested values) with its size,
//! and copies with the longest value that the row has. Invalid UTF-8 may grow threefold on the way: the arena has room for
//! that. Lists that grow count with the room that they leave behind and take in advance.

use super::fault::EditFault;
use crate::batch::{Attribute, Batch, Part, Resource, Run, Scope, Span};
use crate::columns::{Cells, Texts};
use crate::edit::{Constant, Rows, Values};
use crate::path::Path;
use crate::shown::Shown;

/// How many bytes the edits of one call may write, as estimated here; and how many a batch may hold of what edits have
/// written before more are refused.
pub const MOST_BYTES: u64 = 256 << 20;

/// Tags and lengths around a value.
const FRAME: u64 = 24;

/// What one element more costs a list. A list that is full moves to new slots, with some room; the next move is paid by the
/// elements that have filled the room: with 6.25 slots each for attributes, with four for events. The first move is not
/// paid so; see [`Budget::attribute_lists`] and [`Budget::event_lists`].
const ATTRIBUTE_ADDED: u64 = size_of::<Attribute>() as u64 * 25 / 4;
const EVENT_ADDED: u64 = size_of::<Part>() as u64 * 4;
/// A row's own copy of its scope and its resource.
const OWNERS: u64 = (size_of::<Scope>() + size_of::<Resource>()) as u64;

/// What the edits of one call could write so far.
pub(super) struct Budget<'a> {
    batch: &'a Batch,
    shown: &'a Shown,
    spent: u64,
    /// The longest value that an edit has brought.
    longest: u64,
    /// One for each row of the call; empty until an edit needs them.
    sizes: Vec<Size>,
    /// Whether edits may have given rows their own copy of what they shared.
    has_copies: bool,
    /// Whether the first moves of the lists of attributes are counted, and of those of events.
    counted: (bool, bool),
}

/// What a row holds, earlier edits of the call included, in bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    /// The longest of its values, events and links, and of what it shares.
    longest: u64,
    /// All events and links.
    parts: u64,
    /// How many of them there are.
    count: u64,
}

impl<'a> Budget<'a> {
    pub(super) fn new(batch: &'a Batch, shown: &'a Shown) -> Self {
        Self { batch, shown, spent: 0, longest: 0, sizes: Vec::new(), has_copies: false, counted: (false, false) }
    }

    /// A value is written (or nothing, to remove what is there).
    pub(super) fn set(&mut self, path: &Path, at: &Rows, rows: usize, to: Option<&Values>) -> Result<(), EditFault> {
        let (all, longest) = to.map_or((0, 0), |values| match values {
            Values::Same(constant) => (len_of(constant) * rows as u64, len_of(constant)),
            Values::Each(cells) => len_of_cells(cells),
        });
        self.spend(all + rows as u64 * frame(path))?;
        if to.is_some() {
            self.attribute_lists(path, rows)?;
        }
        self.longest = self.longest.max(longest);
        let splits = !matches!((to, at), (None | Some(Values::Same(_)), Rows::Every));
        self.rewritten(path, at, splits, |_| longest)
    }

    /// A value is copied from another path.
    pub(super) fn copy(&mut self, to: &Path, at: &Rows, rows: usize) -> Result<(), EditFault> {
        self.attribute_lists(to, rows)?;
        self.measure();
        let brought = self.longest;
        let mut all = 0u64;
        each_row(at, self.shown, |row| {
            all = all.saturating_add(self.sizes[row].longest.max(brought).saturating_add(frame(to)));
        });
        self.spend(all)?;
        self.rewritten(to, at, true, |size| size.longest.max(brought))
    }

    /// What stands around a target that is written anew with it, and copies of what rows share.
    fn rewritten(
        &mut self,
        path: &Path,
        at: &Rows,
        splits: bool,
        longest: impl Fn(&Size) -> u64,
    ) -> Result<(), EditFault> {
        match path {
            Path::EventName | Path::EventAttribute(_) | Path::LinkAttribute(_) => {
                self.measure();
                let mut all = 0u64;
                each_row(at, self.shown, |row| {
                    let size = &mut self.sizes[row];
                    let more = longest(size) + frame(path);
                    size.longest = size.longest.saturating_add(more);
                    size.parts = size.parts.saturating_add(more.saturating_mul(size.count));
                    all = all.saturating_add(size.parts);
                });
                self.spend(all)
            }
            Path::ResourceAttribute(_)
            | Path::ScopeAttribute(_)
            | Path::ResourceSchemaUrl
            | Path::ScopeSchemaUrl
            | Path::ScopeName
            | Path::ScopeVersion
                if splits && !self.has_copies =>
            {
                // At worst every row ends up with its own, and then there is nothing left to split.
                self.has_copies = true;
                let owners = self.of_owners(|run| {
                    self.batch
                        .attributes(run)
                        .iter()
                        .map(|a| u64::from(a.key.len) + u64::from(a.value.len) + FRAME)
                        .sum()
                });
                self.spend(owners.iter().map(|owner| owner + OWNERS).sum())
            }
            Path::TraceState => self.states(at),
            _ => Ok(()),
        }
    }

    /// Attributes may be added to lists: those of the rows' own, or of what they share, which at worst each has for itself.
    fn attribute_lists(&mut self, path: &Path, rows: usize) -> Result<(), EditFault> {
        if !matches!(path, Path::Attribute(_) | Path::ResourceAttribute(_) | Path::ScopeAttribute(_)) {
            return Ok(());
        }
        let mut all = rows as u64 * ATTRIBUTE_ADDED;
        if !std::mem::replace(&mut self.counted.0, true) {
            // A quarter more and four slots; see `attributes::append`.
            let moved = |len: u64| (len + len / 4 + 4) * size_of::<Attribute>() as u64;
            let own = self.shown.rows.iter().map(|&row| moved(self.batch.spans[row as usize].attributes.len.into()));
            let shared = self.of_owners(|run| moved(run.len.into()));
            all += own.sum::<u64>() + shared.iter().sum::<u64>();
        }
        self.spend(all)
    }

    /// An event may be added to a list.
    fn event_lists(&mut self) -> Result<(), EditFault> {
        let mut all = EVENT_ADDED;
        if !std::mem::replace(&mut self.counted.1, true) {
            // Twice as much and two slots; see `parts::append`.
            let moved =
                |&row: &u32| (u64::from(self.batch.spans[row as usize].events.len) * 2 + 2) * size_of::<Part>() as u64;
            all += self.shown.rows.iter().map(moved).sum::<u64>();
        }
        self.spend(all)
    }

    /// Trace states are written anew.
    pub(super) fn states(&mut self, at: &Rows) -> Result<(), EditFault> {
        let mut all = 0u64;
        each_row(at, self.shown, |row| {
            all += u64::from(self.batch.spans[self.shown.rows[row] as usize].trace_state.len) + FRAME;
        });
        self.spend(all)
    }

    /// Entries are rewritten or removed, each of which stands in one of `rows`; in `shared` where all rows may have it.
    pub(super) fn entries(
        &mut self,
        entries: impl Iterator<Item = (u32, bool)>,
        texts: Option<&Texts>,
    ) -> Result<(), EditFault> {
        self.measure();
        let (mut all, mut last) = (0u64, None);
        for (k, (row, shared)) in entries.enumerate() {
            let text = texts.and_then(|texts| texts.get(k)).map_or(0, <[u8]>::len) as u64 + FRAME;
            let Some(size) = self.sizes.get_mut(row as usize) else { continue };
            size.longest = size.longest.saturating_add(text);
            size.parts = size.parts.saturating_add(text);
            // One element is written once for each edit, however many of its entries change.
            let element = if last == Some(row) { text } else { size.longest };
            last = Some(row);
            let copies = if shared && self.has_copies { self.shown.rows.len() as u64 } else { 1 };
            all = all.saturating_add((text + element).saturating_mul(copies));
        }
        self.spend(all)
    }

    /// An event is added.
    pub(super) fn event(&mut self, row: u32, name: &str, attributes: &[(String, Constant)]) -> Result<(), EditFault> {
        let pairs: u64 = attributes.iter().map(|(key, value)| key.len() as u64 + len_of(value) + FRAME).sum();
        let event = name.len() as u64 + pairs + FRAME;
        self.event_lists()?;
        self.measure();
        let size = &mut self.sizes[row as usize];
        size.longest = size.longest.max(event);
        size.parts = size.parts.saturating_add(event);
        size.count += 1;
        self.spend(event)
    }

    fn spend(&mut self, bytes: u64) -> Result<(), EditFault> {
        let held = self.batch.edited_bytes() as u64;
        if bytes > 0 && held > MOST_BYTES {
            return Err(EditFault::BatchIsFull { bytes: held });
        }
        self.spent = self.spent.saturating_add(bytes);
        if self.spent > MOST_BYTES { Err(EditFault::TooManyBytes { bytes: self.spent }) } else { Ok(()) }
    }

    /// Looks at the rows, once a call.
    fn measure(&mut self) {
        if !self.sizes.is_empty() {
            return;
        }
        let batch = self.batch;
        let longest_of = |run: Run| {
            batch.attributes(run).iter().map(|attribute| u64::from(attribute.value.len)).max().unwrap_or_default()
        };
        let owners = self.of_owners(longest_of);
        // Texts of the request can be copied too.
        let request = batch.requests.iter().map(|request| {
            let context = &*request.context;
            let headers = context.headers.iter().map(|(_, value)| value.len()).max().unwrap_or_default();
            headers.max(context.peer.len()).max(context.tenant.as_ref().map_or(0, |tenant| tenant.len())) as u64
        });
        let request = request.max().unwrap_or_default();
        let size = |(&row, owner): (&u32, u64)| {
            let span: &Span = &batch.spans[row as usize];
            let parts = || batch.events[span.events.range()].iter().chain(&batch.links[span.links.range()]);
            let own = span.name.len.max(span.trace_state.len).max(span.status_message.len);
            let part = parts().map(|part| u64::from(part.body.len)).max().unwrap_or_default();
            Size {
                // Hex ids take 32 bytes.
                longest: [u64::from(own), longest_of(span.attributes), part, owner, request, 32]
                    .into_iter()
                    .fold(0, u64::max),
                parts: parts().map(|part| u64::from(part.body.len) + FRAME).sum(),
                count: u64::from(span.events.len + span.links.len),
            }
        };
        self.sizes = self.shown.rows.iter().zip(owners).map(size).collect();
    }

    /// For each row of the call, a size of its scope and resource: of their texts, and of their attributes as told.
    fn of_owners(&self, attributes: impl Fn(Run) -> u64) -> Vec<u64> {
        let (mut last, mut size) = (u32::MAX, 0);
        let of_row = |&row: &u32| {
            let number = self.batch.spans[row as usize].scope;
            if number != last {
                last = number;
                let scope = &self.batch.scopes[number as usize];
                let resource = &self.batch.resources[scope.resource as usize];
                let texts = [scope.name, scope.version, scope.schema_url, resource.schema_url];
                let texts: u64 = texts.iter().map(|text| u64::from(text.len)).sum();
                size = texts + attributes(scope.attributes) + attributes(resource.attributes);
            }
            size
        };
        self.shown.rows.iter().map(of_row).collect()
    }
}

fn each_row(at: &Rows, shown: &Shown, mut each: impl FnMut(usize)) {
    match at {
        Rows::Every => (0..shown.rows.len()).for_each(each),
        Rows::These(rows) => rows.iter().for_each(|&row| each(row as usize)),
        Rows::Marked(marks) => {
            for (row, _) in marks.iter().enumerate().filter(|(_, mark)| **mark != 0) {
                each(row);
            }
        }
    }
}

fn frame(path: &Path) -> u64 {
    let key = match path {
        Path::Attribute(key)
        | Path::ResourceAttribute(key)
        | Path::ScopeAttribute(key)
        | Path::EventAttribute(key)
        | Path::LinkAttribute(key) => key.len(),
        _ => 0,
    };
    key as u64 + FRAME
}

fn len_of(constant: &Constant) -> u64 {
    match constant {
        Constant::Text(text) => text.len() as u64,
        Constant::Bytes(bytes) => bytes.len() as u64,
        Constant::Boolean(_) | Constant::Integer(_) | Constant::Float(_) => 8,
    }
}

/// All cells together, and the longest.
fn len_of_cells(cells: &Cells) -> (u64, u64) {
    let len = |texts: &Texts, i: usize| texts.get(i).map_or(0, <[u8]>::len) as u64;
    let both = |(all, longest): (u64, u64), len: u64| (all + len, longest.max(len));
    match cells {
        Cells::Text(texts) | Cells::Bytes(texts) => (0..texts.len()).map(|i| len(texts, i)).fold((0, 0), both),
        Cells::Words(words) => words.codes.iter().map(|&code| len(&words.words, code as usize)).fold((0, 0), both),
        Cells::Integers(_) | Cells::Floats(_) | Cells::Booleans(_) | Cells::Ids(_) | Cells::Entries(_) => (0, 8),
    }
}

#[cfg(test)]
mod tests;
