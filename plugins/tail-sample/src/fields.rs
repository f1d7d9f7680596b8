//! What makes a key: the values that a trace has at some places, as a hash.
//!
//! Of each field all distinct values of the trace count, in no order, so that a trace has the same key in whatever order its spans came. A
//! plain name is an attribute of the span or else of its resource; `root.` before it looks at the root alone.

use tracemill_sdk::Refusal;
use tracemill_sdk::path;
use tracemill_sdk::prelude::*;

const ROOT: &str = "root.";
/// Paths that hold a number.
const NUMBERS: [&str; 3] = ["kind", "status.code", "flags"];

/// Fields in order.
pub struct Fields(Vec<Field>);

struct Field {
    of_root: bool,
    /// The first that is there counts.
    places: Vec<Place>,
}

enum Place {
    Words(Column<Words>),
    Integers(Column<Integers>),
    Booleans(Column<Booleans>),
}

impl Fields {
    /// Declares the columns. `at` is where the list stands in the settings.
    pub fn declare(list: &[String], at: &str, plan: &mut SamplerPlanBuilder) -> Result<Self, Refusal> {
        let field = |(index, written): (usize, &String)| {
            let (of_root, name) = written.strip_prefix(ROOT).map_or((false, written.as_str()), |name| (true, name));
            if name.is_empty() {
                return Err(Refusal::at(&format!("{at}[{index}]"), "names no field"));
            }
            let is_path = path::from_settings(name) == name;
            let places = if NUMBERS.contains(&name) {
                vec![Place::Integers(plan.integers(name))]
            } else if is_path && !name.contains('[') {
                vec![Place::Words(plan.words(name))]
            } else if is_path {
                any_type(name, plan)
            } else {
                let mut places = any_type(&attribute(name), plan);
                places.extend(any_type(&resource_attribute(name), plan));
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
    pub fn hashes<'f>(&'f self, traces: &'f Traces<'_>, trace: &Trace<'_>) -> impl Iterator<Item = u64> + 'f {
        let (rows, root) = (trace.rows(), trace.root());
        self.0.iter().map(move |field| {
            let rows = match (field.of_root, root) {
                (false, _) => rows.clone(),
                (true, Some(root)) => root..root + 1,
                (true, None) => 0..0,
            };
            let mut values: Vec<u64> = rows.filter_map(|row| field.value(traces, row)).collect();
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
    fn value(&self, traces: &Traces<'_>, row: u32) -> Option<u64> {
        self.places.iter().find_map(|place| match place {
            Place::Words(column) => traces.read(*column).get(row).map(|text| bytes(OFFSET, text.as_bytes())),
            Place::Integers(column) => {
                traces.read(*column).get(row).map(|number| bytes(!OFFSET, &number.to_le_bytes()))
            }
            Place::Booleans(column) => traces.read(*column).get(row).map(u64::from),
        })
    }
}

/// A place whatever stands there, but for floats, which make no key.
fn any_type(path: &str, plan: &mut SamplerPlanBuilder) -> Vec<Place> {
    vec![Place::Words(plan.words(path)), Place::Integers(plan.integers(path)), Place::Booleans(plan.booleans(path))]
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
