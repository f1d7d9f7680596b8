//! Keys of the Collector that have no place here: whoever pastes them is told what to write instead.

use serde::de::{Deserialize, Deserializer, Error};

/// A key that is a matter of the trace buffer, and so of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfTheHost {}

/// The Collector's own language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ottl {}

/// What to write instead of OTTL.
pub const INSTEAD_OF_OTTL: &str = "OTTL is not read here; write `type: condition` and \
     `condition: [{ path: 'attributes[\"KEY\"]', equals: VALUE }]`, with conditions as in a sidecar's `when`";

impl<'de> Deserialize<'de> for OfTheHost {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom(
            "the trace buffer is the host's; remove it here, and set `tail` in tracemill's configuration",
        ))
    }
}

impl<'de> Deserialize<'de> for Ottl {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom(INSTEAD_OF_OTTL))
    }
}
