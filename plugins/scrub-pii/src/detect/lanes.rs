//! Sixty-four bytes at a time: which of them are what, one bit for each. With WebAssembly's vectors where there are any, and byte by
//! byte elsewhere (the native tests).

/// How many bytes a block has.
pub const BLOCK: usize = 64;

/// Three sets of bytes, one for each of three bytes in a row, in up to eight variants: a bit for each variant in tables over the
/// lower and the upper half of a byte. What fits is a little more than was asked for.
pub struct Triples([([u8; 16], [u8; 16]); 3]);

impl Triples {
    /// From the sets of each variant.
    pub const fn new(variants: &[[&[u8]; 3]]) -> Self {
        assert!(variants.len() <= 8, "a variant is a bit of a byte");
        let mut tables = [([0u8; 16], [0u8; 16]); 3];
        let mut variant = 0;
        while variant < variants.len() {
            let mut place = 0;
            while place < 3 {
                let set = variants[variant][place];
                let mut i = 0;
                while i < set.len() {
                    tables[place].0[(set[i] & 15) as usize] |= 1 << variant;
                    tables[place].1[(set[i] >> 4) as usize] |= 1 << variant;
                    i += 1;
                }
                place += 1;
            }
            variant += 1;
        }
        Self(tables)
    }
}

pub use imp::Block;

#[cfg(target_arch = "wasm32")]
mod imp {
    use core::arch::wasm32::{
        i8x16_bitmask, i8x16_eq, i8x16_ne, i8x16_shuffle, i8x16_splat, i8x16_sub, u8x16_lt, u8x16_shr, u8x16_splat,
        u8x16_swizzle, u64x2, v128, v128_and, v128_any_true, v128_or,
    };

    use super::{BLOCK, Triples};

    /// Sixty-four bytes in vectors.
    #[derive(Clone, Copy)]
    pub struct Block([v128; 4]);

    #[target_feature(enable = "simd128")]
    #[inline]
    fn bits(vectors: [v128; 4]) -> u64 {
        let [a, b, c, d] = vectors.map(|vector| u64::from(i8x16_bitmask(vector)));
        a | b << 16 | c << 32 | d << 48
    }

    #[target_feature(enable = "simd128")]
    #[inline]
    fn vector(of: &[u8; 16]) -> v128 {
        let (low, high) = of.split_at(8);
        let word = |half: &[u8]| {
            let mut word = [0; 8];
            word.copy_from_slice(half);
            u64::from_le_bytes(word)
        };
        u64x2(word(low), word(high))
    }

    impl Block {
        #[target_feature(enable = "simd128")]
        #[inline]
        pub fn load(bytes: &[u8; BLOCK]) -> Self {
            let (vectors, _) = bytes.as_chunks::<16>();
            Self([0, 1, 2, 3].map(|at| vector(&vectors[at])))
        }

        /// Where one of `wanted` stands.
        #[target_feature(enable = "simd128")]
        #[inline]
        pub fn any_of<const N: usize>(self, wanted: [u8; N]) -> u64 {
            let vectors = self.0.map(|vector| {
                let hits = wanted.map(|byte| i8x16_eq(vector, i8x16_splat(byte.cast_signed())));
                hits.into_iter().fold(u8x16_splat(0), |all, hit| v128_or(all, hit))
            });
            let [a, b, c, d] = vectors;
            // Mostly none does.
            if v128_any_true(v128_or(v128_or(a, b), v128_or(c, d))) { bits(vectors) } else { 0 }
        }

        /// Where a byte from `first` to `last` stands.
        #[target_feature(enable = "simd128")]
        #[inline]
        pub fn within(self, first: u8, last: u8) -> u64 {
            bits(self.0.map(|vector| {
                let above = i8x16_sub(vector, i8x16_splat(first.cast_signed()));
                u8x16_lt(above, u8x16_splat(last - first + 1))
            }))
        }

        /// Where three bytes begin that fit; in the last sixteen bytes nothing is looked for.
        #[target_feature(enable = "simd128")]
        #[inline]
        pub fn triples(self, wanted: &Triples) -> u64 {
            let lows = self.0.map(|vector| v128_and(vector, u8x16_splat(15)));
            let highs = self.0.map(|vector| u8x16_shr(vector, 4));
            let fits = |place: usize, at: usize| {
                let (low, high) = &wanted.0[place];
                v128_and(u8x16_swizzle(vector(low), lows[at]), u8x16_swizzle(vector(high), highs[at]))
            };
            let second = [fits(1, 0), fits(1, 1), fits(1, 2), fits(1, 3)];
            let third = [fits(2, 0), fits(2, 1), fits(2, 2), fits(2, 3)];
            let found = |at: usize| {
                let second =
                    i8x16_shuffle::<1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16>(second[at], second[at + 1]);
                let third =
                    i8x16_shuffle::<2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17>(third[at], third[at + 1]);
                v128_and(fits(0, at), v128_and(second, third))
            };
            let none = u8x16_splat(0);
            bits([i8x16_ne(found(0), none), i8x16_ne(found(1), none), i8x16_ne(found(2), none), none])
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod imp {
    use super::{BLOCK, Triples};

    /// Sixty-four bytes.
    #[derive(Clone, Copy)]
    pub struct Block([u8; BLOCK]);

    impl Block {
        pub fn load(bytes: &[u8; BLOCK]) -> Self {
            Self(*bytes)
        }

        /// Where one of `wanted` stands.
        pub fn any_of<const N: usize>(self, wanted: [u8; N]) -> u64 {
            self.bits(|byte| wanted.contains(&byte))
        }

        /// Where a byte from `first` to `last` stands.
        pub fn within(self, first: u8, last: u8) -> u64 {
            self.bits(|byte| (first..=last).contains(&byte))
        }

        /// Where three bytes begin that fit; in the last sixteen bytes nothing is looked for.
        pub fn triples(self, wanted: &Triples) -> u64 {
            let fits = |place: usize, byte: u8| {
                let (low, high) = &wanted.0[place];
                low[usize::from(byte & 15)] & high[usize::from(byte >> 4)]
            };
            let found = |at: &usize| fits(0, self.0[*at]) & fits(1, self.0[at + 1]) & fits(2, self.0[at + 2]) != 0;
            (0..BLOCK - 16).filter(found).fold(0, |all, at| all | 1 << at)
        }

        fn bits(self, wanted: impl Fn(u8) -> bool) -> u64 {
            self.0.iter().enumerate().fold(0, |all, (at, &byte)| all | u64::from(wanted(byte)) << at)
        }
    }
}
