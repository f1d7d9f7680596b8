//! Admission: how many bytes of requests may be in flight at once, counted before a body is read or inflated. All of them have one
//! budget; each connection and each tenant may have a smaller one; and when little is left, who holds most is refused first.
//!
//! Sharing: no sender may hold more than twice what is left of the budget, and no line of a sender more than twice what that sender may
//! still take. While half is free this binds nobody. A greedy sender alone stops at 4/7 of the budget, ten of them together at 93 %,
//! and there is always something left for one that holds nothing. (Switches share their buffers so: Choudhury and Hahne, "Dynamic
//! queue length thresholds for shared-memory packet switches".) Nothing is counted but bytes: a number of senders could be driven up by
//! whoever wants the shares of others to be small. Who holds nothing yet may take whatever fits, however small the shares.
//!
//! A sender is an address, and its lines are its connections. A tenant that a header names is a line of the address that names it,
//! because anybody can write a header; one that comes with a token is a sender itself.

mod account;
mod payer;
mod senders;
mod tenants;

use std::net::IpAddr;
use std::sync::Arc;

pub use self::payer::{Full, Payer, Permit};

use self::account::Account;
use self::payer::Connection;
use self::senders::Senders;
pub(crate) use self::tenants::Tenant;
use self::tenants::Tenants;

/// The bytes in flight, and their bound. Clones are the same budget.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Account>);

impl Budget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Account::new(limit)))
    }

    /// The bound, in bytes.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.0.limit()
    }

    /// The bytes in flight now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.0.used()
    }

    /// Takes so many bytes for nobody in particular, or nothing if they do not fit.
    #[must_use]
    pub fn take(&self, bytes: usize) -> Option<Permit> {
        Payer::from(self.clone()).take(bytes).ok()
    }
}

/// All accounts: of everybody, and of those who are there now.
#[derive(Debug)]
pub(crate) struct Admission {
    budget: Budget,
    per_connection: usize,
    senders: Senders,
    tenants: Tenants,
}

impl Admission {
    pub fn new(budget: Budget, per_connection: usize, per_tenant: usize) -> Self {
        Self { budget, per_connection, senders: Senders::default(), tenants: Tenants::new(per_tenant) }
    }

    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The account of a new connection.
    pub fn connection(&self, peer: IpAddr) -> Payer {
        let connection = Connection {
            budget: self.budget.clone(),
            sender: self.senders.of(peer),
            own: Account::new(self.per_connection),
        };
        Payer::connection(connection)
    }

    /// The account of a tenant that comes with its token.
    pub fn granted(&self, tenant: &[u8]) -> Tenant {
        Tenant { account: self.tenants.of(tenant), is_sure: true }
    }

    /// The account of a tenant that a header names, as it came.
    pub fn named(&self, tenant: &[u8]) -> Tenant {
        Tenant { account: self.tenants.of(tenant), is_sure: false }
    }
}

#[cfg(test)]
mod tests;
