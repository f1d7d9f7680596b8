//! Where in a run of texts a detector could find something at all: the few bytes that [`super::scan`] then looks at.
//!
//! One pass over the bytes, whatever texts they are of, asks only what bytes stand at a place and behind it, never what is missing
//! there. So the end of one text and the beginning of the next may look like something together, which costs a look, but
//! nothing in a text is overlooked.

use super::lanes::{BLOCK, Block, Triples};
use super::{Kind, Kinds};

/// How far the windows lie apart: so many bytes of each are judged, with those behind them in sight.
const STRIDE: usize = BLOCK - 16;

/// How words begin that are credentials: JSON Web Tokens, `Bearer` and `Basic`, and the prefixes of issued keys.
const CREDENTIALS: Triples = Triples::new(&[
    [b"de", b"aoy", b"Jp"],
    [b"bB", b"aAeE", b"aAsS"],
    [b"prsx", b"ako", b"-_px"],
    [b"AGS", b"GIKOS", b".CIz"],
    [b"g", b"hil", b"dhoprstu"],
    [b"nps", b"hpy", b"mp"],
    [b"h", b"fv", b"_s"],
    [b"wy", b"ah", b"2s"],
]);

/// What is looked for, by what it begins with or is found at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sieve {
    /// Addresses, credentials in URLs, IPv6, assigned secrets: found at a sign.
    signs: bool,
    /// Cards, accounts, phone numbers, IPv4: need digits.
    digits: bool,
    /// Credentials that begin a word.
    words: bool,
}

impl Sieve {
    /// For these kinds.
    #[must_use]
    pub fn new(on: Kinds) -> Self {
        let any = |kinds: &[Kind]| kinds.iter().any(|&kind| on.has(kind));
        Self {
            signs: any(&[Kind::Ipv6, Kind::Jwt, Kind::Token, Kind::UrlPassword]),
            digits: any(&[Kind::Card, Kind::Iban, Kind::Phone, Kind::Ipv4]),
            words: any(&[Kind::Jwt, Kind::Token]),
        }
    }

    /// Where in these bytes to look, in ascending order.
    #[must_use]
    pub fn over(self, data: &[u8]) -> Leads<'_> {
        Leads { sieve: self, data, base: 0, next: 0, bits: 0 }
    }

    /// The places of a window at which to look.
    #[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
    #[inline]
    fn sift(self, window: &[u8; BLOCK]) -> u64 {
        let block = Block::load(window);
        if !self.signs && !self.digits {
            return block.any_of([b'@']);
        }
        let mut found = if self.signs { block.any_of([b'@', b':', b'=']) } else { block.any_of([b'@']) };
        if self.words {
            found |= block.triples(&CREDENTIALS);
        }
        if self.digits {
            let digits = block.within(b'0', b'9');
            // Everything here has three digits at least, and few texts have as many.
            if digits & (digits >> 1 | digits >> 2) != 0 {
                found |= numbers(block, digits);
            }
        }
        found
    }
}

/// Where cards, accounts, phone numbers and IPv4 addresses may begin.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
#[inline]
fn numbers(block: Block, digits: u64) -> u64 {
    // Bit i of `after(n, bits)`: what stands n bytes behind i.
    let after = |count: u32, bits: u64| bits >> count;
    let three = digits & after(1, digits) & after(2, digits);
    let dots = block.any_of([b'.']);
    let gaps = block.any_of([b'-', b' ']);
    // Four digits, in one piece with at least nine or parted from as many.
    let four = three & after(3, digits);
    let card = four & after(4, digits | gaps) & after(5, four);
    let capitals = block.within(b'A', b'Z');
    let account = capitals & after(1, capitals) & after(2, digits) & after(3, digits);
    let part = (dots | gaps) & after(1, three);
    let phone = three & after(3, part) & after(7, dots | gaps) & after(8, four);
    let signed = block.any_of([b'+', b'(']) & after(1, digits);
    // One to three digits, then `rest`.
    let octet = |rest: u64| digits & after(1, rest | (digits & after(1, rest | (digits & after(1, rest)))));
    let address = octet(dots & after(1, octet(dots & after(1, octet(dots & after(1, digits))))));
    card | account | phone | signed | address
}

/// The places in a run of bytes at which to look, in ascending order.
#[derive(Debug, Clone)]
pub struct Leads<'d> {
    sieve: Sieve,
    data: &'d [u8],
    /// Where the window begins that `bits` are of, and where the one behind it does.
    base: usize,
    next: usize,
    bits: u64,
}

impl Leads<'_> {
    /// The next place, which stays.
    #[inline]
    #[must_use]
    pub fn peek(&mut self) -> Option<usize> {
        if self.bits == 0 && !self.advance() {
            return None;
        }
        Some(self.base + self.bits.trailing_zeros() as usize)
    }

    /// The next place before `end`.
    #[inline]
    pub fn before(&mut self, end: usize) -> Option<usize> {
        let at = self.peek().filter(|&at| at < end)?;
        self.bits &= self.bits - 1;
        Some(at)
    }

    /// The next place from `begin` on, which stays; those before it are passed over.
    #[inline]
    #[must_use]
    pub fn from(&mut self, begin: usize) -> Option<usize> {
        while self.before(begin).is_some() {}
        self.peek()
    }

    /// Goes on to the next window that has a place.
    #[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
    fn advance(&mut self) -> bool {
        let whole = |at: usize| self.data.get(at..).and_then(|rest| rest.first_chunk::<BLOCK>());
        let (sieve, mut at, mut bits) = (self.sieve, self.next, 0);
        while bits == 0 {
            let Some(window) = whole(at) else { break };
            self.base = at;
            at += STRIDE;
            bits = sieve.sift(window) & ((1 << STRIDE) - 1);
        }
        // The last windows, with nothing behind the last byte.
        while bits == 0 && at < self.data.len() {
            let mut window = [0; BLOCK];
            let rest = &self.data[at..self.data.len().min(at + BLOCK)];
            window[..rest.len()].copy_from_slice(rest);
            self.base = at;
            at += STRIDE;
            bits = sieve.sift(&window) & ((1 << STRIDE) - 1);
        }
        (self.next, self.bits) = (at, bits);
        bits != 0
    }
}
