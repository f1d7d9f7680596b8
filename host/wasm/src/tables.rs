//! Lookup tables as plugins ask them: an immutable set behind one pointer, replaced as a whole. Knows no file.
//!
//! Invariant: data plane and control plane share no lock. A call takes the set once, with its first find, and keeps it to its end.

use std::fmt::Debug;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hashbrown::HashMap;
use otlp::path::Layout;
use otlp::value::Value;

mod find;

pub(crate) use find::{Field, Finder};

/// A table that can be asked by key. It never changes: what is new is another table.
pub trait Table: Debug + Send + Sync {
    /// The rows of these keys, in their order.
    fn find<'t>(&'t self, keys: &mut dyn Iterator<Item = &[u8]>) -> Box<dyn Rows + 't>;
}

/// What a table has for the keys that it was asked for.
pub trait Rows {
    /// How many of the keys have a row.
    fn found(&self) -> u64;

    /// The values of a field, one for each key; none for a key without a row, or a row without the field. [`Value::Empty`] stands for
    /// what no layout can show. A table whose values have no types of their own reads them as `layout` wants them.
    ///
    /// `None` where no row of the table has this field.
    fn values<'r>(&'r self, field: &str, layout: Layout) -> Option<Box<dyn Iterator<Item = Option<Value<'r>>> + 'r>>;
}

/// What is known of a table by its name.
#[derive(Debug, Clone)]
pub enum Entry {
    /// It can be asked.
    Ready(Arc<dyn Table>),
    /// It is configured and could not be read yet; why, for people.
    Broken(Arc<str>),
}

/// All tables at one time, by name.
pub type Set = HashMap<Arc<str>, Entry>;

/// The tables as they are now. Cheap to clone; all clones show the same.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    current: Arc<ArcSwap<Set>>,
}

impl Tables {
    /// Replaces all of them at once. Calls under way finish with those they began with.
    pub fn publish(&self, set: Set) {
        self.current.store(Arc::new(set));
    }

    /// Those of now.
    #[must_use]
    pub fn current(&self) -> Arc<Set> {
        self.current.load_full()
    }
}

/// What a plugin may ask: none where nothing is configured, all where nothing is said.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// All tables.
    pub tables: Tables,
    /// The names of those that it may ask; all without it.
    pub granted: Option<Arc<[String]>>,
}
