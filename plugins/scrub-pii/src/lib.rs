//! Finds personal data in every string of a span, and hides it.
//!
//! One column of entries shows every value of a span, wherever it stands; [`scrubber`] says what becomes of each text, over the
//! detectors in [`detect`]; the answer is one rewrite of what changed and one removal of what goes.

pub mod action;
pub mod detect;
pub mod evidence;
pub mod place;
pub mod scrubber;
pub mod settings;

use tracemill_sdk::layout::{EntriesView, EntryValue};
use tracemill_sdk::prelude::*;

use place::Place;
use scrubber::{Outcome, Scrubber};
use settings::Settings;

/// The attribute that notes how much was hidden.
const NOTE: &str = "tracemill.scrubbed";

/// The plugin.
pub struct ScrubPii {
    scrubber: Scrubber,
    values: Column<Entries>,
    note: Option<Target>,
    places: Vec<Place>,
    text: Vec<u8>,
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
        Ok(Self { scrubber, values, note, places: Vec::new(), text: Vec::new() })
    }

    fn process(&mut self, batch: &Batch<'_>, edits: &mut Edits<'_>) -> Result<(), Refusal> {
        let values = batch.read(self.values);
        let places = values.places();
        self.places.clear();
        self.places.extend(places.iter().map(|place| self.scrubber.judge(&place.to_str_lossy())));
        let mut rewrites = Rewrites::default();
        let mut removed = Vec::new();
        let mut changes = if self.note.is_some() { vec![0i64; batch.rows() as usize] } else { Vec::new() };
        let mut change = |row: u32| {
            if let Some(count) = changes.get_mut(row as usize) {
                *count += 1;
            }
        };
        for (entry, &row) in (0..).zip(values.rows()) {
            let place = self.places[values.place_codes()[entry as usize] as usize];
            self.text.clear();
            match self.scrub(&values, entry, place) {
                Outcome::Clean => continue,
                Outcome::Rewritten => rewrites.push(entry, &self.text),
                Outcome::Removed => removed.push(entry),
            }
            change(row);
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
    /// What becomes of one entry; its new text, if it has one, is in `self.text`.
    fn scrub(&mut self, values: &EntriesView<'_>, entry: u32, place: Place) -> Outcome {
        match values.get(entry).value() {
            EntryValue::Text(text) => self.scrubber.scrub(place, text.as_bytes(), &mut self.text),
            _ => self.scrubber.scrub_other(place),
        }
    }
}

export_plugin!(ScrubPii);
