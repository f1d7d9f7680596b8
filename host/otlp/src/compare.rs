//! Two outcomes of the same batch compared: which rows only one of them dropped, and at which places the others differ.
//!
//! Both began as copies of one batch, so rows have the same numbers. Values are compared, not bytes: how a sender spelled them, and
//! which resource a row shares, makes no difference.

use std::collections::BTreeMap;

use crate::batch::{Batch, Span};
use crate::columns::entries;
use crate::columns::{Cells, Column, Entries};
use crate::path::Path;

/// How many places are told apart; what differs elsewhere is counted together.
pub const MOST_PLACES: usize = 100;
/// How many bytes of a place are kept: senders may name an attribute as they like.
const LONGEST_PLACE: usize = 256;

/// Sums over the batches that were compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    /// Rows that were compared.
    pub rows: u64,
    /// Rows that only the first outcome has dropped.
    pub only_first_dropped: u64,
    /// Rows that only the second outcome has dropped.
    pub only_second_dropped: u64,
    /// Rows that both have kept, with other values.
    pub edited_otherwise: u64,
    /// Of those, how many differ at each place, as `attributes["http.route"]`.
    pub places: BTreeMap<String, Differing>,
    /// How often rows differ at further places.
    pub elsewhere: u64,
}

/// Rows that differ at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differing {
    /// How many.
    pub rows: u64,
    /// The ids of the first of them: 16 and 8 bytes.
    pub example: (Vec<u8>, Vec<u8>),
}

impl Differences {
    /// Rows of which anything differs.
    #[must_use]
    pub fn differing(&self) -> u64 {
        self.only_first_dropped + self.only_second_dropped + self.edited_otherwise
    }

    /// Adds what was found elsewhere.
    pub fn merge(&mut self, other: Self) {
        let Self { rows, only_first_dropped, only_second_dropped, edited_otherwise, places, elsewhere } = other;
        self.rows += rows;
        self.only_first_dropped += only_first_dropped;
        self.only_second_dropped += only_second_dropped;
        self.edited_otherwise += edited_otherwise;
        self.elsewhere += elsewhere;
        for (place, Differing { rows, example }) in places {
            self.at(place, rows, || example);
        }
    }

    /// Adds what two outcomes of one batch have different.
    pub fn add(&mut self, first: &Batch, second: &Batch) {
        for (row, (one, other)) in (0..).zip(first.spans().iter().zip(second.spans())) {
            match (one.dropped, other.dropped) {
                (true, true) => {}
                (true, false) => self.only_first_dropped += 1,
                (false, true) => self.only_second_dropped += 1,
                (false, false) => self.row((first, one), (second, other), row),
            }
            self.rows += 1;
        }
    }

    /// Adds a trace of so many spans that two samplers have kept (`true`), dropped or not decided; `same` is whether they said the same of it.
    pub fn add_decided(&mut self, spans: u64, trace_id: Vec<u8>, [first, second]: [Option<bool>; 2], same: bool) {
        self.rows += spans;
        match (first, second) {
            (Some(false), Some(false)) => {}
            (Some(false), _) => self.only_first_dropped += spans,
            (_, Some(false)) => self.only_second_dropped += spans,
            _ if same => {}
            _ => {
                self.edited_otherwise += spans;
                self.at(Path::TraceState.to_string(), spans, || (trace_id, Vec::new()));
            }
        }
    }

    fn row(&mut self, (first, one): (&Batch, &Span), (second, other): (&Batch, &Span), row: u32) {
        if is_untouched(first, one) && is_untouched(second, other) {
            return;
        }
        let mut places = numbers(one, other);
        for path in [Path::Values, Path::Events, Path::Links] {
            let ((of_first, _), (of_second, _)) =
                (entries::build(first, &[row], &path), entries::build(second, &[row], &path));
            if of_first != of_second {
                places.extend(differing(&of_first, &of_second));
            }
        }
        places.sort_unstable();
        places.dedup();
        self.edited_otherwise += u64::from(!places.is_empty());
        for mut place in places {
            place.truncate(place.floor_char_boundary(LONGEST_PLACE));
            self.at(place, 1, || (first.get(one.trace_id).to_vec(), first.get(one.span_id).to_vec()));
        }
    }

    fn at(&mut self, place: String, rows: u64, example: impl FnOnce() -> (Vec<u8>, Vec<u8>)) {
        if let Some(known) = self.places.get_mut(&place) {
            known.rows += rows;
        } else if self.places.len() < MOST_PLACES {
            self.places.insert(place, Differing { rows, example: example() });
        } else {
            self.elsewhere += rows;
        }
    }
}

/// Whether nothing of the row, of its scope or of its resource was written; what other rows of them have been through is no matter.
fn is_untouched(batch: &Batch, span: &Span) -> bool {
    use crate::batch::Changes;
    let (scope, resource) = (batch.scope(span), batch.resource(span));
    span.changes.is_none()
        && scope.changes.without(Changes::BELOW).is_none()
        && resource.changes.without(Changes::BELOW).is_none()
}

fn numbers(one: &Span, other: &Span) -> Vec<String> {
    let pairs = [
        ("kind", one.kind != other.kind),
        ("status.code", one.status_code != other.status_code),
        ("start_time_unix_nano", one.start_time != other.start_time),
        ("end_time_unix_nano", one.end_time != other.end_time),
    ];
    pairs.into_iter().filter(|(_, differ)| *differ).map(|(place, _)| place.to_owned()).collect()
}

/// The places at which two columns of entries of one row have other values, or in another order.
fn differing(first: &Column, second: &Column) -> Vec<String> {
    let (first, second) = (by_place(first), by_place(second));
    let missing = second.iter().filter(|(place, _)| !first.contains_key(*place)).map(|(place, _)| *place);
    let changed = first.iter().filter(|(place, values)| second.get(*place) != Some(values)).map(|(place, _)| *place);
    missing.chain(changed).map(|place| String::from_utf8_lossy(place).into_owned()).collect()
}

/// The values at each place: their kind, text and number.
type Values<'c> = BTreeMap<&'c [u8], Vec<(u8, &'c [u8], u64)>>;

fn by_place(column: &Column) -> Values<'_> {
    let mut values = Values::new();
    let Cells::Entries(Entries { places, values: texts, kinds, numbers, .. }) = &column.cells else { return values };
    for (entry, &place) in places.codes.iter().enumerate() {
        let kind = kinds.get(entry).copied().unwrap_or_default();
        let number = numbers.get(entry).copied().unwrap_or_default();
        let text = texts.get(entry).unwrap_or_default();
        values.entry(places.words.get(place as usize).unwrap_or_default()).or_default().push((kind, text, number));
    }
    values
}

#[cfg(test)]
mod tests;
