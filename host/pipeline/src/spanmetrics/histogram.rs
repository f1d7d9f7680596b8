//! Base-2 exponential histograms, as OpenTelemetry's data model has them: few buckets whatever the values are, whose width follows the
//! values. Knows counts, not what is counted.
//!
//! Bucket i holds the values in (base^i, base^(i+1)], where base = 2^(2^-scale). When values are too far apart for the buckets that there
//! may be, the scale is lowered and neighbours are joined, which is exact.

use std::ops::AddAssign;

/// The finest scale; where a histogram begins.
pub const FINEST: i32 = 20;
/// The coarsest: all that a double can be fits two buckets.
const COARSEST: i32 = -11;

/// How often values came. `C` counts: whole spans, or weights that are not rounded yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Exponential<C> {
    scale: i32,
    /// The index of the first bucket.
    offset: i32,
    buckets: Vec<C>,
    zeros: C,
}

impl<C: Default> Default for Exponential<C> {
    fn default() -> Self {
        Self { scale: FINEST, offset: 0, buckets: Vec::new(), zeros: C::default() }
    }
}

impl<C> Exponential<C> {
    /// Its scale.
    pub fn scale(&self) -> i32 {
        self.scale
    }

    /// The index of the first of [`Exponential::buckets`].
    pub fn offset(&self) -> i32 {
        self.offset
    }

    /// From the first to the last that was ever counted in.
    pub fn buckets(&self) -> &[C] {
        &self.buckets
    }

    /// How often the value was 0, or none that can be counted.
    pub fn zeros(&self) -> &C {
        &self.zeros
    }
}

impl<C: Copy + Default + AddAssign> Exponential<C> {
    /// Counts a value. What is not above 0 counts as 0: a span cannot take less. `most` is how many buckets there may be.
    #[inline]
    pub fn record(&mut self, value: f64, count: C, most: usize) {
        if value.is_nan() || value < f64::MIN_POSITIVE {
            self.zeros += count;
            return;
        }
        let value = value.min(f64::MAX);
        let wanted = index(value, self.scale);
        let at = wanted.wrapping_sub(self.offset);
        if let Some(bucket) = usize::try_from(at).ok().and_then(|at| self.buckets.get_mut(at)) {
            *bucket += count;
            return;
        }
        self.make_room(wanted, wanted, most);
        // The scale may be another one now, but never so that the bucket that was meant is another.
        let at = index(value, self.scale) - self.offset;
        self.buckets[at as usize] += count;
    }

    /// Adds what another has.
    pub fn merge<D: Copy>(&mut self, other: &Exponential<D>, most: usize)
    where
        C: From<D>,
    {
        self.zeros += C::from(other.zeros);
        if other.buckets.is_empty() {
            return;
        }
        let last = other.buckets.len() as i32 - 1;
        self.coarsen(other.scale);
        let shift = other.scale - self.scale;
        self.make_room(other.offset >> shift, (other.offset + last) >> shift, most);
        let shift = other.scale - self.scale;
        for (index, count) in (other.offset..).zip(&other.buckets) {
            self.buckets[((index >> shift) - self.offset) as usize] += C::from(*count);
        }
    }

    /// The same with other counts, which `count` says in the order of the buckets, the zeros first.
    pub fn map<D>(&self, mut count: impl FnMut(C) -> D) -> Exponential<D> {
        let zeros = count(self.zeros);
        let buckets = self.buckets.iter().map(|&known| count(known)).collect();
        Exponential { scale: self.scale, offset: self.offset, buckets, zeros }
    }

    /// Lowers the scale to at most this one.
    fn coarsen(&mut self, scale: i32) {
        let shift = self.scale - scale;
        if shift <= 0 {
            return;
        }
        self.scale = scale;
        let old = self.offset;
        self.offset = old >> shift;
        let mut len = 0;
        for at in 0..self.buckets.len() {
            let to = (((old + at as i32) >> shift) - self.offset) as usize;
            let count = std::mem::take(&mut self.buckets[at]);
            self.buckets[to] += count;
            len = to + 1;
        }
        self.buckets.truncate(len);
    }

    /// Makes the buckets from `first` to `last` part of the list, lowering the scale as far as that needs.
    fn make_room(&mut self, first: i32, last: i32, most: usize) {
        let (mut low, mut high) = (i64::from(first), i64::from(last));
        if !self.buckets.is_empty() {
            low = low.min(i64::from(self.offset));
            high = high.max(i64::from(self.offset) + self.buckets.len() as i64 - 1);
        }
        let most = most.max(2) as i64;
        let mut shift = 0;
        while (high >> shift) - (low >> shift) >= most && self.scale - shift > COARSEST {
            shift += 1;
        }
        self.coarsen(self.scale - shift);
        let (low, high) = ((low >> shift) as i32, (high >> shift) as i32);
        if self.buckets.is_empty() {
            self.offset = low;
        } else if low < self.offset {
            let more = (self.offset - low) as usize;
            self.buckets.splice(..0, std::iter::repeat_n(C::default(), more));
            self.offset = low;
        }
        self.buckets.resize(((high - self.offset) as usize + 1).max(self.buckets.len()), C::default());
    }
}

/// The bucket of a value, which is normal and above 0.
#[inline]
fn index(value: f64, scale: i32) -> i32 {
    const MANTISSA: u64 = (1 << 52) - 1;
    let bits = value.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32 - 1023;
    // The upper bound of a bucket belongs to it: powers of two are the largest values of theirs.
    let is_power = bits & MANTISSA == 0;
    if scale <= 0 {
        return (exponent - i32::from(is_power)) >> -scale;
    }
    if is_power {
        return (exponent << scale) - 1;
    }
    let fraction = f64::from_bits((bits & MANTISSA) | 1023 << 52);
    // Taken of the fraction alone, the logarithm is as exact for large values as for small ones.
    let within = (fraction.log2() * f64::from(1 << scale)).ceil() as i32 - 1;
    (exponent << scale) + within.clamp(0, (1 << scale) - 1)
}

#[cfg(test)]
mod tests;
