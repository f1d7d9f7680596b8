//! Which traces were kept of late, and which they link to: so that traces that are linked are kept together.
//!
//! The ids stand in a few rings in the plugin's state, for all instances. A trace is kept for another's sake if it links to one that was
//! kept, or if one that was kept links to it and was decided first. Only what is kept for its own sake is remembered: otherwise a consumer
//! of a batch, kept for one producer, would bring all other producers, and they their consumers.

use std::collections::HashSet;

use tracemill_sdk::prelude::*;

/// An id.
pub type Id = [u8; WIDTH];

const WIDTH: usize = 16;
/// Rings. More of them make each shorter, and instances meet less often.
const RINGS: u8 = 16;
/// Ids that all rings hold together, unless it is set.
pub const REMEMBERED: u32 = 16_384;
/// The most: each call reads what it needs of them, at worst a megabyte.
pub const MOST_REMEMBERED: u32 = 65_536;
/// How often another instance may be faster before an id is forgotten.
const MOST_TRIES: usize = 8;

/// The rings, and where a trace's links are.
pub struct Linked {
    links: Column<Entries>,
    /// Ids in a ring.
    most: usize,
}

/// What one call knows and adds.
#[derive(Default)]
pub struct Known {
    /// Each link with the row that it stands in.
    links: Vec<(u32, Id)>,
    /// The rings that were looked at, each read once, with what was added since.
    rings: [Option<HashSet<Id>>; RINGS as usize],
    /// For each ring what is to be added.
    new: [Vec<Id>; RINGS as usize],
}

impl Linked {
    /// Declares the column of links.
    pub fn declare(remember: u32, plan: &mut SamplerPlanBuilder) -> Self {
        Self { links: plan.entries("links"), most: (remember as usize).div_ceil(usize::from(RINGS)) }
    }

    /// Begins a call.
    pub fn begin(&self, traces: &Traces<'_>) -> Known {
        let entries = traces.read(self.links);
        let is_id: Vec<bool> = entries.places().iter().map(|place| place == "links.trace_id").collect();
        let ids = entries.iter().filter(|entry| is_id[entry.place_code() as usize]);
        let links = ids.filter_map(|entry| Some((entry.row(), of_hex(entry.text()?.as_bytes())?))).collect();
        Known { links, ..Known::default() }
    }

    /// Ends a call: what was kept is remembered.
    pub fn end(&self, known: Known) {
        for (ring, ids) in (0..).zip(known.new).filter(|(_, ids)| !ids.is_empty()) {
            let key = name(ring);
            for _ in 0..MOST_TRIES {
                let (version, mut value) =
                    state::get(&key).map_or((0, Vec::new()), |known| (known.version, known.value));
                let mut known = ids_of(&value);
                let new: Vec<Id> = ids.iter().filter(|id| known.insert(**id)).copied().collect();
                if new.is_empty() {
                    break;
                }
                value.extend(new.iter().flatten());
                let excess = (value.len() / WIDTH).saturating_sub(self.most) * WIDTH;
                value.drain(..excess);
                // A state that is full forgets; the traces are decided all the same.
                if state::replace(&key, version, &value).unwrap_or(true) {
                    break;
                }
            }
        }
    }
}

impl Known {
    /// True if the trace, or one that it links to, was kept or linked to.
    pub fn has(&mut self, trace: &Trace<'_>) -> bool {
        let ids = self.of(trace);
        ids.iter().any(|id| {
            let number = ring(id);
            let new = &self.new[usize::from(number)];
            let read = || {
                let value = state::get(&name(number)).map(|known| known.value).unwrap_or_default();
                ids_of(&value).into_iter().chain(new.iter().copied()).collect()
            };
            self.rings[usize::from(number)].get_or_insert_with(read).contains(id)
        })
    }

    /// Remembers a trace that is kept for its own sake, and those that it links to.
    pub fn keep(&mut self, trace: &Trace<'_>) {
        for id in self.of(trace) {
            let number = usize::from(ring(&id));
            self.new[number].push(id);
            if let Some(known) = &mut self.rings[number] {
                known.insert(id);
            }
        }
    }

    /// The trace's own id, and those that its spans link to.
    fn of(&self, trace: &Trace<'_>) -> Vec<Id> {
        let rows = trace.rows();
        let from = self.links.partition_point(|(row, _)| *row < rows.start);
        let to = self.links.partition_point(|(row, _)| *row < rows.end);
        let own = trace.id().try_into().ok();
        own.into_iter().chain(self.links[from..to].iter().map(|(_, id)| *id)).collect()
    }
}

fn ids_of(ring: &[u8]) -> HashSet<Id> {
    ring.as_chunks().0.iter().copied().collect()
}

fn name(ring: u8) -> String {
    format!("linked/{ring}")
}

/// Ids need not be random but in their last bytes.
fn ring(id: &Id) -> u8 {
    id[WIDTH - 1] % RINGS
}

fn of_hex(hex: &[u8]) -> Option<Id> {
    let digits: &[[u8; 2]; WIDTH] = hex.as_chunks().0.try_into().ok().filter(|_| hex.len() == 2 * WIDTH)?;
    let value = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    let mut id = [0; WIDTH];
    for (byte, [high, low]) in id.iter_mut().zip(digits) {
        *byte = value(*high)? << 4 | value(*low)?;
    }
    Some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_from_hex() {
        let id = of_hex(b"000102030405060708090a0b0c0d0eFF").expect("an id");
        assert_eq!((id[1], id[15], ring(&id)), (1, 255, 15));
        for wrong in ["", "00", "000102030405060708090a0b0c0d0e0g", "000102030405060708090a0b0c0d0e0f00"] {
            assert_eq!(of_hex(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
