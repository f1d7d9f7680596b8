//! The trace state as sampling sees it: the `ot` entry with its sub-keys, and the entries of others, which are kept.

use super::threshold::{DIGITS, Threshold, hex};

/// How long the value of the `ot` entry may be.
const OT_LIMIT: usize = 256;
/// How many entries a trace state may have.
const ENTRIES_LIMIT: usize = 32;

/// A trace state, taken apart.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct State<'s> {
    text: &'s [u8],
    /// The value of the first `ot` entry.
    ot: &'s [u8],
    th: Option<&'s [u8]>,
    rv: Option<&'s [u8]>,
}

impl<'s> State<'s> {
    pub(super) fn parse(text: &'s [u8]) -> Self {
        let mut state = Self { text, ..Self::default() };
        let Some(ot) = entries(text).find_map(ot_value) else { return state };
        state.ot = ot;
        for (key, value) in ot.split(|&b| b == b';').filter_map(sub_key) {
            match key {
                b"th" => state.th = state.th.or(Some(value)),
                b"rv" => state.rv = state.rv.or(Some(value)),
                _ => {}
            }
        }
        state
    }

    /// `rv`, where it is well-formed.
    pub(super) fn randomness(&self) -> Option<u64> {
        self.rv.filter(|digits| digits.len() == DIGITS).and_then(hex)
    }

    /// Whether there is a `th` at all.
    pub(super) fn has_threshold(&self) -> bool {
        self.th.is_some()
    }

    /// `th`, where it is well-formed and a trace of this randomness can have passed it.
    pub(super) fn consistent_threshold(&self, randomness: u64) -> Option<Threshold> {
        self.th.and_then(Threshold::parse).filter(|threshold| threshold.value() <= randomness)
    }

    /// Appends the trace state with this threshold, or with none. The `ot` entry comes first, as the entry that was
    /// changed last; everything else stays in its order, as far as the limits let it.
    pub(super) fn write(&self, threshold: Option<Threshold>, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(b"ot=");
        let value = out.len();
        if let Some(threshold) = threshold {
            out.extend_from_slice(b"th:");
            threshold.write(out);
        }
        // `rv` must never be lost, so it takes its room before what others have put there.
        let is_rv = |part: &&[u8]| matches!(sub_key(part), Some((b"rv", _)));
        let is_other = |part: &&[u8]| !matches!(sub_key(part), Some((b"th" | b"rv", _)));
        for part in self.parts().filter(is_rv).chain(self.parts().filter(is_other)) {
            let separator = usize::from(out.len() > value);
            if out.len() - value + separator + part.len() <= OT_LIMIT {
                out.extend_from_slice(&b";"[..separator]);
                out.extend_from_slice(part);
            }
        }
        let mut count = 1;
        if out.len() == value {
            out.truncate(start);
            count = 0;
        }
        let others = entries(self.text).filter(|entry| ot_value(entry).is_none());
        for entry in others.take(ENTRIES_LIMIT - count) {
            if out.len() > start {
                out.push(b',');
            }
            out.extend_from_slice(entry);
        }
    }

    fn parts(&self) -> impl Iterator<Item = &'s [u8]> + use<'s> {
        self.ot.split(|&b| b == b';').filter(|part| !part.is_empty())
    }
}

/// The entries, without the spaces around them.
fn entries(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&b| b == b',').map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty())
}

fn ot_value(entry: &[u8]) -> Option<&[u8]> {
    entry.strip_prefix(b"ot=")
}

fn sub_key(part: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = part.iter().position(|&b| b == b':')?;
    Some((&part[..colon], &part[colon + 1..]))
}
