//! What plugins might want and answer, chosen by the last eight bytes of an input.

mod wild;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tracemill_otlp::columns::Texts;
use tracemill_otlp::edit::{Constant, Edit, Mode, Rows, Sampling, Values};
use tracemill_otlp::path::{Path, Want};
use tracemill_otlp::shown::Shown;

/// Paths of every kind; keys that the corpus has, and one that nothing has.
const PATHS: &[&str] = &[
    "trace_id",
    "span_id",
    "parent_span_id",
    "trace_state",
    "name",
    "kind",
    "status.code",
    "status.message",
    "start_time_unix_nano",
    "end_time_unix_nano",
    "duration",
    "flags",
    "attributes[\"http.route\"]",
    "attributes[\"server.port\"]",
    "attributes[\"no.such.key\"]",
    "resource.attributes[\"service.name\"]",
    "scope.attributes[\"no.such.key\"]",
    "resource.schema_url",
    "scope.name",
    "scope.version",
    "scope.schema_url",
    "dropped_attributes_count",
    "request.tenant",
    "request.header[\"x-tenant\"]",
    "attributes",
    "resource.attributes",
    "scope.attributes",
    "events",
    "links",
    "events.name",
    "events.attributes[\"exception.message\"]",
    "links.attributes[\"no.such.key\"]",
    "resource",
    "scope",
    "values",
    "strings",
];

const TEXTS: &[&str] = &[
    "",
    "a",
    "redacted",
    "ot=th:8;rv:00000000000000",
    "\u{fffd}",
    "a rather long text that takes more than it replaces",
];

/// A source of choices.
pub(crate) struct Choices(SmallRng);

impl Choices {
    /// Splits an input into the request and the choices.
    pub(crate) fn split(data: &[u8]) -> Option<(&[u8], Self)> {
        let (body, seed) = data.split_last_chunk::<8>()?;
        Some((body, Self(SmallRng::seed_from_u64(u64::from_le_bytes(*seed)))))
    }

    /// Some of the rows, ascending.
    pub(crate) fn some_of(&mut self, rows: u32) -> Vec<u32> {
        let share = self.0.random_range(0.1..=1.0);
        (0..rows).filter(|_| self.0.random_bool(share)).collect()
    }

    /// The columns of a plan.
    pub(crate) fn wants(&mut self) -> Vec<Want> {
        let count = self.0.random_range(0..6);
        (0..count).map(|_| self.want()).collect()
    }

    fn want(&mut self) -> Want {
        let path = self.path();
        let layouts = path.layouts();
        let layout = layouts[self.0.random_range(0..layouts.len())];
        Want::new(path, layout).expect("a layout of the path's own")
    }

    fn path(&mut self) -> Path {
        let path = PATHS[self.0.random_range(0..PATHS.len())];
        path.parse().unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Every path, for a plan that may do everything.
    pub(crate) fn all_paths() -> Vec<Path> {
        PATHS.iter().filter_map(|path| path.parse().ok()).filter(Path::is_writable).collect()
    }

    /// What a plugin might answer to what it was shown.
    pub(crate) fn edits(&mut self, shown: &Shown) -> Vec<Edit> {
        let count = self.0.random_range(1..8);
        (0..count).map(|_| self.edit(shown)).collect()
    }

    fn edit(&mut self, shown: &Shown) -> Edit {
        let rows = shown.rows.len() as u32;
        let at = self.rows(rows);
        match self.0.random_range(0..12) {
            0 => Edit::Drop { at, reason: "because".to_owned() },
            1 => {
                let how = if self.0.random() { Sampling::Equalizing } else { Sampling::Proportional };
                Edit::Sample { at, probability: self.0.random_range(0.0..=1.0), how, reason: "sampled".to_owned() }
            }
            2 => Edit::Weigh { at, probability: self.0.random_bool(0.5).then(|| self.0.random_range(0.01..=1.0)) },
            3..=5 => Edit::Set { path: self.path(), at, to: Values::Same(self.constant()), mode: self.mode() },
            6 => Edit::Copy { path: self.path(), to: self.path(), at, mode: self.mode() },
            7 => Edit::Move { path: self.path(), to: self.path(), at, mode: self.mode() },
            8 => Edit::Remove { path: self.path(), at },
            9 => self.rewrite(shown),
            10 => {
                let column = self.column(shown);
                Edit::RemoveEntries { column, entries: self.entries(shown, column) }
            }
            _ => Edit::Event {
                row: self.0.random_range(0..=rows),
                time: self.0.random(),
                name: self.text(),
                attributes: vec![(self.text(), self.constant())],
            },
        }
    }

    fn rewrite(&mut self, shown: &Shown) -> Edit {
        let column = self.column(shown);
        let entries = self.entries(shown, column);
        let mut to = Texts::default();
        for _ in &entries {
            to.push(self.text().as_bytes());
        }
        Edit::Rewrite { column, entries, to }
    }

    fn column(&mut self, shown: &Shown) -> u32 {
        // One that has entries, if there is one.
        let with = shown.locators.iter().position(Option::is_some);
        with.map_or_else(|| self.0.random_range(0..8), |column| column as u32)
    }

    fn entries(&mut self, shown: &Shown, column: u32) -> Vec<u32> {
        use tracemill_otlp::columns::Cells;
        let count = match shown.columns.get(column as usize).map(|column| &column.cells) {
            Some(Cells::Entries(entries)) => entries.rows.len() as u32,
            _ => 3,
        };
        let share = self.0.random_range(0.01..=0.5);
        (0..count).filter(|_| self.0.random_bool(share)).collect()
    }

    fn rows(&mut self, rows: u32) -> Rows {
        match self.0.random_range(0..3) {
            0 => Rows::Every,
            1 => Rows::These(self.some_of(rows)),
            _ => Rows::Marked((0..rows).map(|_| self.0.random_range(0..2)).collect()),
        }
    }

    fn constant(&mut self) -> Constant {
        match self.0.random_range(0..7) {
            0 => Constant::Boolean(self.0.random()),
            1 => Constant::Integer(self.0.random()),
            2 => Constant::Float(self.0.random()),
            3 => Constant::Bytes(vec![0xff; self.0.random_range(0..20)]),
            _ => Constant::Text(self.text()),
        }
    }

    fn text(&mut self) -> String {
        TEXTS[self.0.random_range(0..TEXTS.len())].to_owned()
    }

    fn mode(&mut self) -> Mode {
        [Mode::Upsert, Mode::Insert, Mode::Update][self.0.random_range(0..3)]
    }
}
