//! Thresholds: 56 bits, their digits, and the probabilities that they stand for.

/// How many digits a threshold and a randomness have at most.
pub(super) const DIGITS: usize = 14;
/// 2^56: one more than the largest threshold.
const LIMIT: u64 = 1 << 56;
/// 2^56 again, as the probabilities are counted.
const SCALE: f64 = LIMIT as f64;
/// How many digits are kept, counted after leading `0` or `f`. What the specification recommends.
const PRECISION: i32 = 4;

/// A number that is no probability.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} is no probability: it must lie between 0 and 1")]
pub struct InvalidProbability(pub f64);

/// A rejection threshold T: a trace is kept when its randomness is not below it. Below 2^56.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Threshold(u64);

impl Threshold {
    /// The threshold that keeps with this probability, to the digits that the specification recommends. `None` below
    /// 2^-56, which keeps nothing.
    pub fn of_probability(probability: f64) -> Result<Option<Self>, InvalidProbability> {
        if !(0.0..=1.0).contains(&probability) {
            return Err(InvalidProbability(probability));
        }
        if probability < SCALE.recip() {
            return Ok(None);
        }
        let kept = (probability * SCALE).round() as u64;
        let exact = LIMIT - kept.clamp(1, LIMIT);
        // Each leading `0` or `f` adds a digit, so that the error stays relative to whichever is small.
        let extra = (-exponent(probability) / 4).max(-exponent(1.0 - probability) / 4);
        let dropped = 4 * (DIGITS as i32 - PRECISION - extra).max(0);
        if dropped == 0 {
            return Ok(Some(Self(exact)));
        }
        let rounded = (exact + (1 << (dropped - 1))) >> dropped << dropped;
        Ok(Some(Self(if rounded < LIMIT { rounded } else { exact })))
    }

    /// Reads 1 to 14 lower-case hex digits; what is left out on the right is zero.
    pub(super) fn parse(digits: &[u8]) -> Option<Self> {
        if digits.is_empty() || digits.len() > DIGITS {
            return None;
        }
        Some(Self(hex(digits)? << (4 * (DIGITS - digits.len()))))
    }

    /// T itself.
    #[inline]
    #[must_use]
    pub fn value(self) -> u64 {
        self.0
    }

    /// The probability with which it keeps.
    #[must_use]
    pub fn probability(self) -> f64 {
        (LIMIT - self.0) as f64 / SCALE
    }

    /// Its 14 digits.
    pub(super) fn digits(self) -> [u8; DIGITS] {
        std::array::from_fn(|i| b"0123456789abcdef"[(self.0 >> (4 * (DIGITS - 1 - i)) & 15) as usize])
    }

    /// Appends its digits, without the trailing zeros; `0` for the one that keeps all.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let digits = self.digits();
        let len = digits.iter().rposition(|&digit| digit != b'0').map_or(1, |last| last + 1);
        out.extend_from_slice(&digits[..len]);
    }
}

/// Reads lower-case hex digits.
pub(super) fn hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })
}

/// The exponent e of m * 2^e with m from 0.5 to 1; 0 for 0 and above.
fn exponent(value: f64) -> i32 {
    if value <= 0.0 {
        return 0;
    }
    // Normal numbers only: the smallest here is 2^-56.
    ((value.to_bits() >> 52 & 0x7ff) as i32 - 1022).min(0)
}
