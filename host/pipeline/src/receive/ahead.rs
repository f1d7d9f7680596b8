//! What connections may send ahead of its being read: HTTP/2's windows, HTTP/1.1's read buffer. None of it is in the budget of
//! bytes in flight, because nobody has looked at it yet; so it has a bound of its own.
//!
//! Invariant: what the connections of a listener may have sent ahead is never more than `LEAST` for each and `SHARED` for all.
//! The first ones get as much as makes them fast; the more there are, the less is left for the next, down to `LEAST`.

use crate::admit::{Budget, Permit};

/// HTTP/2's own window, which a server cannot make smaller before a client has used it.
const LEAST: u32 = 65_535;
/// What the connections of a listener share beyond that.
const SHARED: usize = 64 << 20;
/// No connection takes more than this part of what is left.
const PART: usize = 8;
/// Less than this is not worth the accounting.
const WORTH_IT: usize = 16 << 10;

/// What the connections of a listener share.
#[derive(Debug, Clone)]
pub(super) struct Shares(Budget);

/// One connection's share, given back when it ends.
#[derive(Debug)]
pub(super) struct Share(Option<Permit>);

impl Shares {
    pub fn new() -> Self {
        Self(Budget::new(SHARED))
    }

    /// As much of `wanted` bytes as a connection can have now.
    pub fn take(&self, wanted: u32) -> Share {
        let left = self.0.limit().saturating_sub(self.0.used());
        let more = (wanted.saturating_sub(LEAST) as usize).min(left / PART);
        // Another connection may have taken it meanwhile: then this one makes do with the least.
        Share((more >= WORTH_IT).then(|| self.0.take(more)).flatten())
    }
}

impl Share {
    /// Its bytes.
    pub fn bytes(&self) -> u32 {
        LEAST + self.0.as_ref().map_or(0, |more| more.bytes() as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: u32 = 4 << 20;

    #[test]
    fn whatever_their_number_connections_stay_within_the_bound() {
        let shares = Shares::new();
        let mut taken = Vec::new();
        for connections in 1..=4096 {
            taken.push(shares.take(WANTED));
            let ahead: usize = taken.iter().map(|share| share.bytes() as usize).sum();
            assert!(
                ahead <= connections * LEAST as usize + SHARED,
                "{connections} connections may send {ahead} bytes ahead"
            );
        }
        assert!(taken[..8].iter().all(|share| share.bytes() == WANTED), "the first ones are slow");
        assert!(taken.iter().all(|share| share.bytes() >= LEAST));
    }

    #[test]
    fn a_connection_that_ends_leaves_its_share_to_the_next() {
        let shares = Shares::new();
        let all: Vec<_> = (0..4096).map(|_| shares.take(WANTED)).collect();
        assert_eq!(shares.take(WANTED).bytes(), LEAST);
        drop(all);
        assert_eq!(shares.take(WANTED).bytes(), WANTED);
    }
}
