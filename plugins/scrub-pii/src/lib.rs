//! Finds personal data in every string of a span, and hides it.
//!
//! One column of entries shows every value of a span, wherever it stands. A sieve goes over all of them at once and leaves the few that
//! need a closer look; [`scrubber`] says what becomes of each, over the detectors in [`detect`]; the answer is one rewrite of what
//! changed and one removal of what goes.

pub mod action;
pub mod detect;
pub mod evidence;
pub mod pattern;
pub mod place;
pub mod scrubber;
pub mod settings;

use std::collections::HashMap;

use tracemill_sdk::layout::{EntriesView, EntryValue, Texts};
use tracemill_sdk::prelude::*;

use detect::Leads;
use place::Place;
use scrubber::{Outcome, Scrubber};
use settings::Settings;

/// The attribute that notes how much was hidden.
const NOTE: &str = "tracemill.scrubbed";
/// How many distinct places are remembered. Services have some hundreds; a sender that makes up keys gets no more.
const REMEMBERED: usize = 2048;

/// The plugin.
pub struct ScrubPii {
    scrubber: Scrubber,
    values: Column<Entries>,
    note: Option<Target>,
    /// Places that were judged before.
    known: HashMap<Box<[u8]>, Judged>,
    /// The places of the call, by their numbers.
    places: Vec<Judged>,
    text: Vec<u8>,
}

/// A place, and whether its values are looked at even where the sieve leaves nothing.
#[derive(Clone, Copy)]
struct Judged {
    place: Place,
    special: bool,
}

impl Plugin for ScrubPii {
    type Settings = Settings;

    fn configure(settings: Settings, plan: &mut PlanBuilder) -> Result<Self, Refusal> {
        let scrubber = Scrubber::new(&settings).map_err(|(key, problem)| Refusal::at(&key, problem))?;
        // Listed keys may hold numbers, which `strings` does not show.
        let path = if settings.keys.is_empty() { "strings" } else { "values" };
        let values = plan.entries(path);
        plan.writes(path);
        let note = settings.note.then(|| plan.writes(attribute(NOTE)));
        if let Some(evidence) = scrubber.evidence()
            && !evidence.is_empty()
        {
            plan.when([when("strings").matches_any(evidence)]);
        }
        // Personal data must not pass because this plugin failed.
        plan.on_error(Failure::Reject);
        Ok(Self { scrubber, values, note, known: HashMap::new(), places: Vec::new(), text: Vec::new() })
    }

    fn process(&mut self, batch: &Batch<'_>, edits: &mut Edits<'_>) -> Result<(), Refusal> {
        let values = batch.read(self.values);
        self.judge(values.places());
        let mut rewrites = Rewrites::default();
        let mut removed = Vec::new();
        let mut changes = if self.note.is_some() { vec![0i64; batch.rows() as usize] } else { Vec::new() };
        let mut left = self.scrubber.sieve().over(values.values().data());
        let mut next = left.peek().unwrap_or(usize::MAX);
        let ends = values.values().offsets().iter().skip(1);
        for ((entry, &code), &end) in (0..).zip(values.place_codes()).zip(ends) {
            let (judged, end) = (self.places[code as usize], end as usize);
            if next >= end && !judged.special {
                continue;
            }
            self.text.clear();
            let outcome = self.scrub(&values, entry, judged.place, &mut left);
            next = left.from(end).unwrap_or(usize::MAX);
            match outcome {
                Outcome::Clean => continue,
                Outcome::Rewritten => rewrites.push(entry, &self.text),
                Outcome::Removed => removed.push(entry),
            }
            if let Some(count) = changes.get_mut(values.rows()[entry as usize] as usize) {
                *count += 1;
            }
        }
        if !rewrites.is_empty() {
            edits.rewrite(self.values, rewrites);
        }
        if !removed.is_empty() {
            edits.remove_entries(self.values, removed);
        }
        if let Some(note) = self.note {
            let (rows, counts): (Vec<u32>, Vec<i64>) = (0..).zip(changes).filter(|(_, count)| *count > 0).unzip();
            if !rows.is_empty() {
                edits.set_each(note, rows, counts, Mode::Upsert);
            }
        }
        self.scrubber.take_counts(host::count);
        Ok(())
    }
}

impl ScrubPii {
    /// Judges the places of a call, those that were seen before from memory.
    fn judge(&mut self, places: Texts<'_>) {
        if self.known.len() > REMEMBERED {
            self.known.clear();
        }
        self.places.clear();
        for text in places.iter() {
            let judged = self.known.get(text.as_bytes()).copied().unwrap_or_else(|| {
                let place = self.scrubber.judge(&text.to_str_lossy());
                let judged = Judged { place, special: self.scrubber.is_special(place) };
                if self.known.len() <= REMEMBERED {
                    self.known.insert(text.as_bytes().into(), judged);
                }
                judged
            });
            self.places.push(judged);
        }
    }

    /// What becomes of one entry; its new text, if it has one, is in `self.text`.
    fn scrub(&mut self, values: &EntriesView<'_>, entry: u32, place: Place, left: &mut Leads<'_>) -> Outcome {
        let texts = values.values();
        match values.get(entry).value() {
            EntryValue::Text(_) => {
                let (start, end) = (texts.offsets()[entry as usize], texts.offsets()[entry as usize + 1]);
                self.scrubber.scrub(place, texts.data(), start as usize..end as usize, left, &mut self.text)
            }
            _ => self.scrubber.scrub_other(place),
        }
    }
}

export_plugin!(ScrubPii);
