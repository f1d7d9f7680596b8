//! Senders by their address: those that have a connection, or bytes in flight.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::account::Account;

/// How many addresses are kept before those that have gone are looked for.
const FEW: usize = 64;

/// Asked once for each connection.
#[derive(Debug, Default)]
pub(super) struct Senders(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    by_address: HashMap<IpAddr, Weak<Account>>,
    /// How many there were after the last sweep.
    kept: usize,
}

impl Senders {
    pub fn of(&self, peer: IpAddr) -> Arc<Account> {
        let known = &mut *self.0.lock();
        let place = place(peer);
        if let Some(sender) = known.by_address.get(&place).and_then(Weak::upgrade) {
            return sender;
        }
        // As many new ones as there were: a sweep costs each of them a step or two.
        if known.by_address.len() >= FEW + 2 * known.kept {
            known.by_address.retain(|_, sender| sender.strong_count() > 0);
            known.kept = known.by_address.len();
        }
        // The bound is that of all requests.
        let sender = Arc::new(Account::new(usize::MAX));
        known.by_address.insert(place, Arc::downgrade(&sender));
        sender
    }
}

/// Who has an IPv6 address has at least 2^64 of them.
fn place(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_subscriber_are_one_sender() {
        let senders = Senders::default();
        let of = |text: &str| senders.of(text.parse().unwrap());
        let same = |a, b| Arc::ptr_eq(&of(a), &of(b));
        let kept = [of("10.0.0.1"), of("2001:db8::1")];
        assert!(same("10.0.0.1", "::ffff:10.0.0.1") && same("2001:db8::1", "2001:db8::ffff:1"));
        assert!(!same("10.0.0.1", "10.0.0.2") && !same("2001:db8::1", "2001:db8:0:1::1"));
        drop(kept);
    }

    #[test]
    fn those_that_have_gone_are_forgotten() {
        let senders = Senders::default();
        let here: Vec<_> = (0..100).map(|at| senders.of(IpAddr::from([10, 0, 0, at]))).collect();
        for at in 0..100_000_u32 {
            drop(senders.of(IpAddr::from(at.to_be_bytes())));
        }
        let known = senders.0.lock().by_address.len();
        assert!(known <= FEW + 3 * here.len(), "{known} are kept");
        assert!(Arc::ptr_eq(&here[7], &senders.of(IpAddr::from([10, 0, 0, 7]))));
    }
}
