//! Tenants by their names: those that have bytes in flight, and no more of them than are bounded, whatever names are sent.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use parking_lot::Mutex;

use super::account::Account;

/// How many have an account of their own at once. Further ones share one, with the bound of a single tenant.
const MOST: usize = 1024;

/// A tenant's account.
#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    pub(super) account: Arc<Account>,
    /// Whether its name cannot be forged.
    pub(super) is_sure: bool,
}

#[derive(Debug)]
pub(super) struct Tenants {
    limit: usize,
    /// By the hash of their names, which may be long. Two that share a hash share an account.
    known: Mutex<HashMap<u64, Arc<Account>>>,
    hasher: RandomState,
    others: Arc<Account>,
}

impl Tenants {
    pub fn new(limit: usize) -> Self {
        let others = Arc::new(Account::new(limit));
        Self { limit, known: Mutex::default(), hasher: RandomState::new(), others }
    }

    pub fn of(&self, name: &[u8]) -> Arc<Account> {
        let hash = self.hasher.hash_one(name);
        let mut known = self.known.lock();
        if let Some(account) = known.get(&hash) {
            return Arc::clone(account);
        }
        if known.len() >= MOST {
            known.retain(|_, account| Arc::strong_count(account) > 1);
        }
        if known.len() >= MOST {
            return Arc::clone(&self.others);
        }
        let account = Arc::new(Account::new(self.limit));
        known.insert(hash, Arc::clone(&account));
        account
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_names_costs_no_more_than_the_bound_and_leave_tenants_alone() {
        let tenants = Tenants::new(10);
        let honest = tenants.of(b"honest");
        let kept: Vec<_> =
            (0..100_000_u32).map(|at| tenants.of(&at.to_be_bytes())).filter(|it| it.take(1).is_some()).collect();
        assert_eq!(tenants.known.lock().len(), MOST);
        assert!(Arc::ptr_eq(&honest, &tenants.of(b"honest")));
        assert!(Arc::ptr_eq(&tenants.others, &tenants.of(b"one more")));
        assert_eq!(tenants.others.used(), 10);
        drop(kept);
        assert!(!Arc::ptr_eq(&tenants.others, &tenants.of(b"one more")), "who has gone leaves room");
    }
}
