//! Who pays for a request's bytes, and what was paid.

use std::sync::Arc;

use super::Budget;
use super::account::Account;
use super::tenants::Tenant;

/// How often a sender may hold what is left for others, and a line what is left for its sender.
const SHARES: usize = 2;

/// Which bound had no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// That of all requests.
    Budget,
    /// The connection's.
    Connection,
    /// The tenant's.
    Tenant,
    /// Little is left for everybody, and this sender holds more than its share of it.
    Share,
}

/// One connection's accounts.
#[derive(Debug)]
pub(super) struct Connection {
    pub budget: Budget,
    pub sender: Arc<Account>,
    pub own: Account,
}

/// Whose accounts bytes are charged to.
#[derive(Debug, Clone)]
pub struct Payer(Kind);

#[derive(Debug, Clone)]
enum Kind {
    /// The budget's alone.
    Nobody(Budget),
    Connection(Arc<Connection>, Option<Tenant>),
}

impl From<Budget> for Payer {
    fn from(budget: Budget) -> Self {
        Self(Kind::Nobody(budget))
    }
}

impl Payer {
    pub(super) fn connection(connection: Connection) -> Self {
        Self(Kind::Connection(Arc::new(connection), None))
    }

    /// The same connection, on behalf of a tenant.
    pub(crate) fn on_behalf_of(&self, tenant: Tenant) -> Self {
        match &self.0 {
            Kind::Nobody(_) => self.clone(),
            Kind::Connection(connection, _) => Self(Kind::Connection(Arc::clone(connection), Some(tenant))),
        }
    }

    /// Takes so many bytes, or nothing if they do not fit everywhere.
    pub fn take(&self, bytes: usize) -> Result<Permit, Full> {
        self.charge(bytes, 0)?;
        Ok(Permit { payer: self.clone(), bytes })
    }

    /// The accounts with a bound, and what to say when it is reached.
    fn accounts(&self) -> [Option<(&Account, Full)>; 4] {
        match &self.0 {
            Kind::Nobody(budget) => [Some((&*budget.0, Full::Budget)), None, None, None],
            Kind::Connection(connection, tenant) => [
                Some((&*connection.budget.0, Full::Budget)),
                Some((&*connection.sender, Full::Share)),
                Some((&connection.own, Full::Connection)),
                tenant.as_ref().map(|tenant| (&*tenant.account, Full::Tenant)),
            ],
        }
    }

    /// Charges more bytes to whoever has so many already for the same request.
    fn charge(&self, more: usize, has: usize) -> Result<(), Full> {
        let accounts = self.accounts();
        for (at, account) in accounts.iter().enumerate() {
            let Some((account, full)) = account else { continue };
            if account.take(more).is_none() {
                accounts[..at].iter().flatten().for_each(|(account, _)| account.give_back(more));
                return Err(*full);
            }
        }
        if self.is_within_its_share(has + more) {
            return Ok(());
        }
        self.give_back(more);
        Err(Full::Share)
    }

    fn give_back(&self, bytes: usize) {
        self.accounts().iter().flatten().for_each(|(account, _)| account.give_back(bytes));
    }

    /// Whether others are left enough, now that this request holds so many bytes.
    fn is_within_its_share(&self, request: usize) -> bool {
        let Kind::Connection(connection, tenant) = &self.0 else { return true };
        let budget = &connection.budget.0;
        let used = budget.used();
        if used <= budget.limit() / 2 {
            return true;
        }
        let (sender, line) = match tenant {
            Some(tenant) if tenant.is_sure => (&*tenant.account, &connection.own),
            Some(tenant) => (&*connection.sender, &*tenant.account),
            None => (&*connection.sender, &connection.own),
        };
        // Others may give back what is read here one after the other.
        let share = SHARES * budget.limit().saturating_sub(used);
        let (of_sender, of_line) = (sender.used(), line.used());
        let within = |held: usize, share: usize| held <= share || held <= request;
        within(of_sender, share) && within(of_line, SHARES * share.saturating_sub(of_sender))
    }
}

/// Bytes that were paid for, given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    payer: Payer,
    bytes: usize,
}

impl Permit {
    /// How many bytes it stands for.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes it stand for `bytes` instead, as when a body turns out to be larger or smaller. Where there is no room, it stays as it was.
    pub fn resize(&mut self, bytes: usize) -> Result<(), Full> {
        if bytes > self.bytes {
            self.payer.charge(bytes - self.bytes, self.bytes)?;
            self.bytes = bytes;
        } else {
            self.shrink(bytes);
        }
        Ok(())
    }

    /// Makes it stand for at most `bytes`, for which there is always room.
    pub fn shrink(&mut self, bytes: usize) {
        let spare = self.bytes.saturating_sub(bytes);
        self.payer.give_back(spare);
        self.bytes -= spare;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.payer.give_back(self.bytes);
    }
}
