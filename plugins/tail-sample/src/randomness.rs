//! The randomness of a trace, as OpenTelemetry's probability sampling defines it: the `rv` of the trace state, else the last 7 bytes of
//! the id.
//!
//! The host decides by it. The plugin needs it only where a share meets a rate limit: whether a trace takes from the limit depends on
//! whether the share keeps it.

/// Thresholds and randomness have 56 bits.
const MAX: f64 = (1u64 << 56) as f64;
/// Digits of `rv`.
const DIGITS: usize = 14;

/// A trace's randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Randomness(u64);

impl Randomness {
    /// The randomness of a trace by its id, and its trace state where that is known.
    pub fn new(id: &[u8], trace_state: &[u8]) -> Self {
        let of_id = id.iter().rev().take(7).rev().fold(0, |number, &byte| number << 8 | u64::from(byte));
        Self(explicit(trace_state).unwrap_or(of_id))
    }

    /// True if a trace with it is kept with this probability.
    pub fn suffices(self, probability: f64) -> bool {
        let threshold = (1.0 - probability) * MAX;
        probability > 0.0 && self.0 as f64 >= threshold.round()
    }

    /// At this share of all that there are, from below.
    #[cfg(test)]
    pub fn of_fraction(fraction: f64) -> Self {
        Self((fraction * MAX) as u64)
    }
}

/// The `rv` of a trace state.
fn explicit(trace_state: &[u8]) -> Option<u64> {
    let mut entries = trace_state.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    let ot = entries.find_map(|entry| entry.strip_prefix(b"ot="))?;
    let digits = ot.split(|&byte| byte == b';').find_map(|pair| pair.strip_prefix(b"rv:"))?;
    let is_hex = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    if digits.len() != DIGITS || !digits.iter().all(is_hex) {
        return None;
    }
    std::str::from_utf8(digits).ok().and_then(|digits| u64::from_str_radix(digits, 16).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn randomness_is_that_of_the_specification() {
        let id = [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0, 0, 0, 1, 2];
        assert_eq!(Randomness::new(&id, b""), Randomness(0x102));
        assert_eq!(Randomness::new(&id, b"a=b, ot=th:8;rv:0000000000000f,c=d"), Randomness(15));
        for malformed in ["ot=rv:f", "ot=rv:0000000000000F", "x=rv:0000000000000f"] {
            assert_eq!(Randomness::new(&id, malformed.as_bytes()), Randomness(0x102), "{malformed}");
        }
    }

    #[test]
    fn it_suffices_from_the_threshold_on() {
        let half = Randomness(1 << 55);
        assert!(half.suffices(0.5) && half.suffices(1.0) && !half.suffices(0.499) && !half.suffices(0.0));
        assert!(Randomness(0).suffices(1.0) && !Randomness(u64::MAX >> 8).suffices(0.0));
    }
}
