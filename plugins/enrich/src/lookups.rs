//! Values from the operator's lookup tables: each distinct key of a batch is asked for once.

use tracemill_sdk::bindings::types::{Cells, Texts, Words as WordCells};
use tracemill_sdk::layout::{Presence, Present, WordsView};
use tracemill_sdk::path;
use tracemill_sdk::prelude::*;
use tracemill_sdk::tables::{CELLS, Field};

use crate::settings::LookupRule;

/// Spans of one call: as many keys there may be.
const MOST_ROWS: usize = 4096;

/// The lookups of the settings, in their order.
pub struct Lookups(Vec<Lookup>);

/// One table, asked by one place of the spans.
struct Lookup {
    key: Column<Words>,
    table: Table,
    sets: Vec<Set>,
    mode: Mode,
    /// What was wrong the last time, and was said.
    said: Option<String>,
}

/// Where a field of the table goes.
struct Set {
    name: String,
    field: Field<Words>,
    target: Target,
}

impl Lookups {
    /// Declares what is read and set.
    pub fn configure(rules: &[LookupRule], mode: Mode, plan: &mut PlanBuilder) -> Result<Self, Refusal> {
        let lookup = |(index, rule): (usize, &LookupRule)| {
            if rule.set.is_empty() {
                return Err(Refusal::at(
                    &format!("lookups[{index}]"),
                    "sets nothing; name a place and a field in `set`",
                ));
            }
            if rule.set.len() > CELLS / MOST_ROWS {
                let most = CELLS / MOST_ROWS;
                return Err(Refusal::at(
                    &format!("lookups[{index}].set"),
                    format!("has more than {most} fields; make it two lookups"),
                ));
            }
            let mut table = plan.table(&rule.table);
            let sets = rule.set.iter().map(|(target, name)| Set {
                name: name.clone(),
                field: table.words(name),
                target: plan.writes(path::from_settings(target)),
            });
            let sets = sets.collect();
            let key = plan.words(path::from_settings(&rule.key));
            Ok(Lookup { key, table, sets, mode, said: None })
        };
        rules.iter().enumerate().map(lookup).collect::<Result<_, _>>().map(Self)
    }

    /// Sets what the tables have. Where a table cannot be asked, spans stay as they are.
    pub fn apply(&mut self, batch: &Batch<'_>, edits: &mut Edits<'_>) {
        for lookup in &mut self.0 {
            let outcome = lookup.apply(batch, edits);
            lookup.report(outcome);
        }
    }
}

impl Lookup {
    fn apply(&self, batch: &Batch<'_>, edits: &mut Edits<'_>) -> Result<(), String> {
        let keys = batch.read(self.key);
        let words = keys.words();
        // Rows without a key have the first word, which is empty then, and no table has it.
        let skipped = usize::from(words.iter().next().is_some_and(Str::is_empty));
        let asked: Texts = words.iter().skip(skipped).map(Str::as_bytes).collect();
        if asked.offsets.len() == 1 {
            return Ok(());
        }
        let rows = Keys { view: keys, skipped: skipped as u32 };
        let found = self.table.find(asked.clone())?;
        for set in &self.sets {
            let values = found.read(set.field);
            let (at, codes) = rows.having(values.present(), |key| values.codes()[key as usize]);
            if !codes.is_empty() {
                let cells = WordCells { codes, words: values.words().into() };
                edits.set_each(set.target, at, Cells::Words(cells), self.mode);
            }
            let other = |key| values.present().presence(key) == Presence::OtherType;
            if (0..asked.offsets.len() as u32 - 1).any(other) {
                self.set_numbers(set, &asked, &rows, edits)?;
            }
        }
        Ok(())
    }

    /// What is no text is set as what it is.
    fn set_numbers(&self, set: &Set, keys: &Texts, rows: &Keys<'_>, edits: &mut Edits<'_>) -> Result<(), String> {
        let mut table = Table::new(self.table.name());
        let integers = table.integers(&set.name);
        let booleans = table.booleans(&set.name);
        let floats = table.floats(&set.name);
        let found = table.find(keys.clone())?;
        let mut put = |at: Vec<u32>, cells: Cells| edits.set_each(set.target, at, cells, self.mode);
        let values = found.read(integers);
        let (at, cells) = rows.having(values.present(), |key| values.as_slice()[key as usize]);
        put(at, cells.into());
        let values = found.read(booleans);
        let (at, cells) = rows.having(values.present(), |key| values.get(key) == Some(true));
        put(at, cells.into());
        let values = found.read(floats);
        let (at, cells) = rows.having(values.present(), |key| values.as_slice()[key as usize]);
        put(at, cells.into());
        Ok(())
    }

    /// Says what is wrong, and that it is no more: once.
    fn report(&mut self, outcome: Result<(), String>) {
        let error = outcome.err();
        if let Some(error) = &error {
            host::count("failed_lookups", 1);
            if self.said.as_ref() != Some(error) {
                host::log(Level::Warn, &format!("nothing is looked up: {error}"));
            }
        } else if self.said.is_some() {
            host::log(Level::Info, &format!("the lookup table `{}` can be asked again", self.table.name()));
        }
        self.said = error;
    }
}

/// The keys of a batch's rows.
struct Keys<'b> {
    view: WordsView<'b>,
    /// How many words before the first key.
    skipped: u32,
}

impl Keys<'_> {
    /// The rows whose key has a value, and the value of each.
    fn having<T>(&self, present: Present<'_>, value: impl Fn(u32) -> T) -> (Vec<u32>, Vec<T>) {
        let keys = self.view.codes().iter().zip(0u32..).filter_map(|(&code, row)| {
            let key = code.checked_sub(self.skipped)?;
            (self.view.present().at(row) && present.at(key)).then(|| (row, value(key)))
        });
        keys.unzip()
    }
}
