//! Lookup tables: the operator's CSV, JSON and `MaxMind` files, asked by key, many keys at once.
//!
//! A table is declared once, with the fields that are wanted of it, and asked once for each batch. Ask for distinct words rather than for
//! rows: each question crosses into the host.
//!
//! ```no_run
//! # use tracemill_sdk::prelude::*;
//! # use tracemill_sdk::tables::{Field, Table};
//! struct Owner {
//!     service: Column<Words>,
//!     owners: Table,
//!     team: Field<Words>,
//!     target: Target,
//! }
//!
//! impl Plugin for Owner {
//!     type Settings = NoSettings;
//!
//!     fn configure(_: NoSettings, plan: &mut PlanBuilder) -> Result<Self, Refusal> {
//!         let service = plan.words(resource_attribute("service.name"));
//!         let target = plan.writes(resource_attribute("team"));
//!         let mut owners = plan.table("owners");
//!         let team = owners.words("team");
//!         Ok(Self { service, owners, team, target })
//!     }
//!
//!     fn process(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Refusal> {
//!         let services = batch.read(self.service);
//!         let Ok(found) = self.owners.find(services.words()) else { return Ok(()) };
//!         let teams = found.read(self.team);
//!         for row in batch {
//!             // A row's code is the number of its word, and so of the key.
//!             if let Some(team) = teams.get(services.codes()[row.number() as usize]) {
//!                 edits.row(row.number()).set(self.target, team.to_str_lossy().into_owned());
//!             }
//!         }
//!         Ok(())
//!     }
//! }
//! ```
//!
//! The host answers an error where the table is not configured, could not be read or is not granted, or where it has no such field. That is
//! the operator's to mend, and a file may come later: go on without what would have been found, rather than fail.

use std::marker::PhantomData;

use crate::bindings::tracemill::plugin::host as contract;
#[cfg(target_arch = "wasm32")]
use crate::bindings::tracemill::plugin::host as offered;
use crate::bindings::types;
use crate::layout::{Booleans, Bytes, Floats, Integers, Layout, Text, Texts, Words};
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::stub as offered;

/// How many keys times fields one question may have.
pub const CELLS: usize = 1 << 16;

/// A table, and the fields that are asked for.
#[derive(Debug, Clone)]
pub struct Table {
    name: String,
    fields: Vec<contract::Field>,
}

/// A field that is asked for in a given layout. Read it with [`Found::read`].
#[derive(Debug)]
pub struct Field<L> {
    index: u32,
    layout: PhantomData<L>,
}

impl<L> Clone for Field<L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L> Copy for Field<L> {}

impl Table {
    /// The table that the operator has configured under this name. The plan must name it: [`PlanBuilder::table`](crate::PlanBuilder::table) does
    /// both; this makes another question to the same table.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), fields: Vec::new() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One text for each key.
    pub fn text(&mut self, field: impl Into<String>) -> Field<Text> {
        self.field(field)
    }

    /// One code for each key into distinct words: as they are, they can be set on spans.
    pub fn words(&mut self, field: impl Into<String>) -> Field<Words> {
        self.field(field)
    }

    /// One `i64` for each key. A CSV file has texts alone, which are read as what is asked for.
    pub fn integers(&mut self, field: impl Into<String>) -> Field<Integers> {
        self.field(field)
    }

    /// One `f64` for each key, likewise.
    pub fn floats(&mut self, field: impl Into<String>) -> Field<Floats> {
        self.field(field)
    }

    /// One `bool` for each key, likewise.
    pub fn booleans(&mut self, field: impl Into<String>) -> Field<Booleans> {
        self.field(field)
    }

    /// Raw bytes for each key.
    pub fn bytes(&mut self, field: impl Into<String>) -> Field<Bytes> {
        self.field(field)
    }

    /// A field in the layout `L`; no table has ids or entries.
    pub fn field<L: Layout>(&mut self, field: impl Into<String>) -> Field<L> {
        self.fields.push(contract::Field { name: field.into(), layout: L::LAYOUT });
        Field { index: self.fields.len() as u32 - 1, layout: PhantomData }
    }

    /// Asks for these keys. The answer has a row for each, in order; an error says why there is none. Within one call of the plugin all
    /// answers are of the same version of the tables.
    pub fn find(&self, keys: impl Into<types::Texts>) -> Result<Found, String> {
        let keys = keys.into();
        let rows = keys.offsets.len().saturating_sub(1) as u32;
        offered::find(&self.name, &self.fields, &keys).map(|columns| Found { rows, columns })
    }
}

/// What a table has for the keys that it was asked for.
pub struct Found {
    rows: u32,
    columns: Vec<types::Column>,
}

impl Found {
    /// The values of a field: row `i` is that of key `i`. Keys that the table does not have are absent.
    pub fn read<L: Layout>(&self, field: Field<L>) -> L::View<'_> {
        L::view(&self.columns[field.index as usize], self.rows)
            .expect("the host answers in the layout that was asked for")
    }
}

impl From<Texts<'_>> for types::Texts {
    fn from(texts: Texts<'_>) -> Self {
        Self { offsets: texts.offsets().to_vec(), data: texts.data().to_vec() }
    }
}

impl<K: AsRef<[u8]>, const N: usize> From<[K; N]> for types::Texts {
    fn from(keys: [K; N]) -> Self {
        keys.into_iter().collect()
    }
}

impl<K: AsRef<[u8]>> From<&[K]> for types::Texts {
    fn from(keys: &[K]) -> Self {
        keys.iter().collect()
    }
}
