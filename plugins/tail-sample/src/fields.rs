//! What makes a key: the values that a trace has at some places, as a hash.
//!
//! Of each field all distinct values of the trace count, in no order, so that a trace has the same key in whatever order its spans came. A
//! plain name is an attribute of the span or else of its resource; `root.` before it looks at the root alone.

use tracemill_sdk::Refusal;
use tracemill_sdk::layout::Texts;
use tracemill_sdk::path;
use tracemill_sdk::prelude::*;

const ROOT: &str = "root.";
/// Paths that hold a number.
const NUMBERS: [&str; 3] = ["kind", "status.code", "flags"];

/// Fields in order.
pub struct Fields(Vec<Field>);

/// The hashes of the words of a call's columns, by the column's number and the word's code: each word is hashed once, in however many
/// spans it stands.
#[derive(Default)]
pub struct Hashed(Vec<Option<Vec<u64>>>);

impl Hashed {
    fn of(&mut self, number: usize, words: Texts<'_>) -> &[u64] {
        if self.0.len() <= number {
            self.0.resize_with(number + 1, || None);
        }
        self.0[number].get_or_insert_with(|| words.iter().map(|word| bytes(OFFSET, word.as_bytes())).collect())
    }
}

struct Field {
    of_root: bool,
    /// The first that is there counts.
    places: Vec<Place>,
}

enum Place {
    /// With its number among all of these.
    Words(Column<Words>, usize),
    Integers(Column<Integers>),
    Booleans(Column<Booleans>),
}

impl Fields {
    /// Declares the columns. `at` is where the list stands in the settings, `numbers` how many columns of words have one already.
    pub fn declare(
        list: &[String],
        at: &str,
        plan: &mut SamplerPlanBuilder,
        numbers: &mut usize,
    ) -> Result<Self, Refusal> {
        let mut words = |path: &str, plan: &mut SamplerPlanBuilder| {
            *numbers += 1;
            Place::Words(plan.words(path), *numbers - 1)
        };
        let field = |(index, written): (usize, &String)| {
            let (of_root, name) = written.strip_prefix(ROOT).map_or((false, written.as_str()), |name| (true, name));
            if name.is_empty() {
                return Err(Refusal::at(&format!("{at}[{index}]"), "names no field"));
            }
            let is_path = path::from_settings(name) == name;
            let places = if NUMBERS.contains(&name) {
                vec![Place::Integers(plan.integers(name))]
            } else if is_path && !name.contains('[') {
                vec![words(name, plan)]
            } else if is_path {
                any_type(name, plan, &mut words)
            } else {
                let mut places = any_type(&attribute(name), plan, &mut words);
                places.extend(any_type(&resource_attribute(name), plan, &mut words));
                places
            };
            Ok(Field { of_root, places })
        };
        list.iter().enumerate().map(field).collect::<Result<_, _>>().map(Self)
    }

    /// True if roots are all that is looked at.
    pub fn are_of_roots(&self) -> bool {
        self.0.iter().all(|field| field.of_root)
    }

    /// A hash for each field, 0 where the trace has no value.
    pub fn hashes<'f>(
        &'f self,
        traces: &'f Traces<'_>,
        trace: &Trace<'_>,
        hashed: &'f mut Hashed,
    ) -> impl Iterator<Item = u64> + 'f {
        let (rows, root) = (trace.rows(), trace.root());
        self.0.iter().map(move |field| {
            let rows = match (field.of_root, root) {
                (false, _) => rows.clone(),
                (true, Some(root)) => root..root + 1,
                (true, None) => 0..0,
            };
            let mut values: Vec<u64> = rows.filter_map(|row| field.value(traces, row, hashed)).collect();
            values.sort_unstable();
            values.dedup();
            match values.as_slice() {
                [] => 0,
                values => values.iter().fold(OFFSET, |hash, value| bytes(hash, &value.to_le_bytes())),
            }
        })
    }
}

impl Field {
    fn value(&self, traces: &Traces<'_>, row: u32, hashed: &mut Hashed) -> Option<u64> {
        self.places.iter().find_map(|place| match place {
            Place::Words(column, number) => {
                let column = traces.read(*column);
                let code = column.present().at(row).then(|| column.codes()[row as usize])?;
                hashed.of(*number, column.words()).get(code as usize).copied()
            }
            Place::Integers(column) => {
                traces.read(*column).get(row).map(|number| bytes(!OFFSET, &number.to_le_bytes()))
            }
            Place::Booleans(column) => traces.read(*column).get(row).map(u64::from),
        })
    }
}

/// A place whatever stands there, but for floats, which make no key.
fn any_type(
    path: &str,
    plan: &mut SamplerPlanBuilder,
    mut words: impl FnMut(&str, &mut SamplerPlanBuilder) -> Place,
) -> Vec<Place> {
    vec![words(path, plan), Place::Integers(plan.integers(path)), Place::Booleans(plan.booleans(path))]
}

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// FNV-1a: the same in all instances and versions, as keys stand in the state.
fn bytes(state: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(state, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

/// Several hashes as one.
pub fn join(hashes: impl IntoIterator<Item = u64>) -> u64 {
    hashes.into_iter().fold(OFFSET, |hash, part| bytes(hash, &part.to_le_bytes()))
}
