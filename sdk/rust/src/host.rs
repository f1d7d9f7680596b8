//! What the host offers beside spans: log lines, counters, the time, lookup tables.
//!
//! What a call that fails has logged and counted is undone. In native tests the harness stands in for the host.

#[cfg(target_arch = "wasm32")]
use crate::bindings::tracemill::plugin::host as offered;
pub use crate::bindings::tracemill::plugin::host::Level;
use crate::bindings::types;
use crate::layout::Layout;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::stub as offered;

/// Writes a line to the host's log, under the plugin's name.
pub fn log(level: Level, message: &str) {
    offered::log(level, message);
}

/// Adds to a counter of the plugin's own in the host's metrics. Call it once per batch, not once per span.
pub fn count(name: &str, by: u64) {
    if by > 0 {
        offered::count(name, by);
    }
}

/// Nanoseconds since the Unix epoch; the same throughout a call.
pub fn now() -> u64 {
    offered::now()
}

/// Looks up many keys at once in an operator's table. See [`Lookup`].
///
/// ```no_run
/// # use tracemill_sdk::{host, layout::Text};
/// let found = host::lookup("services", &["checkout", "cart"]).field::<Text>("team").find()?;
/// let team_of_cart = found.column::<Text>(0).get(1);
/// # Ok::<(), String>(())
/// ```
pub fn lookup<K: AsRef<[u8]>>(table: &str, keys: &[K]) -> Lookup {
    let mut texts = types::Texts { offsets: vec![0], data: Vec::new() };
    for key in keys {
        texts.data.extend_from_slice(key.as_ref());
        texts.offsets.push(texts.data.len() as u32);
    }
    Lookup { table: table.to_owned(), keys: texts, fields: Vec::new() }
}

/// A question to a lookup table: one row for each key, one column for each field that is asked for.
pub struct Lookup {
    table: String,
    keys: types::Texts,
    fields: Vec<Field>,
}

/// A field of a lookup table and the layout that is wanted.
pub use crate::bindings::tracemill::plugin::host::Field;

impl Lookup {
    /// Asks for a field, in the layout `L`.
    #[must_use]
    pub fn field<L: Layout>(mut self, name: &str) -> Self {
        self.fields.push(Field { name: name.to_owned(), layout: L::LAYOUT });
        self
    }

    /// Asks the host.
    pub fn find(self) -> Result<Found, String> {
        let rows = self.keys.offsets.len() as u32 - 1;
        offered::find(&self.table, &self.fields, &self.keys).map(|columns| Found { rows, columns })
    }
}

/// The answer of a lookup table.
pub struct Found {
    rows: u32,
    columns: Vec<types::Column>,
}

impl Found {
    /// The column of the field that was asked for at this position. Keys without a row are absent.
    pub fn column<L: Layout>(&self, field: usize) -> L::View<'_> {
        L::view(&self.columns[field], self.rows).expect("the host answers in the layout that was asked for")
    }
}
