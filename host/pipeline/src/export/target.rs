//! One place that a destination's requests go to: an endpoint, or one of the addresses behind its name. Knows how it stands
//! with it, and for how long it is left alone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::backoff::Backoff;
use super::config::{Protocol, RetryConfig};
use super::dial::Dialer;
use super::link::{Link, Slot};
use super::metrics::{EndpointCounters, Outcome};
use super::status::Trouble;
use super::wire::Template;

/// While the process drains, what does not answer is tried this often: there is little time left.
pub(super) const DRAINING_DELAY: Duration = Duration::from_millis(500);

/// One endpoint of a destination.
pub(super) struct Site {
    /// What it is called in metrics and messages.
    pub name: String,
    pub template: Template,
    pub dialer: Arc<Dialer>,
    pub counters: EndpointCounters,
    pub trouble: Trouble,
}

impl Site {
    /// Notes how a request to it ended.
    pub fn count(&self, outcome: Outcome) {
        self.counters.count(outcome);
        if outcome != Outcome::Retry {
            self.trouble.is_over();
        }
    }
}

/// One place that requests go to.
pub(super) struct Target {
    pub site: Arc<Site>,
    /// Where it leads, if it stands for one address only.
    pub address: Option<SocketAddr>,
    dialer: Arc<Dialer>,
    /// The connections that senders share; none for a protocol over which each has its own.
    slots: Vec<Arc<Slot>>,
    health: Mutex<Health>,
}

struct Health {
    rest: Option<Rest>,
    backoff: Backoff,
}

/// A time during which a target is left alone.
struct Rest {
    since: Instant,
    until: Instant,
    /// Whether the back end asked for it: then it holds whatever happens.
    asked: bool,
}

/// Why a target is not tried now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Resting {
    /// Until when.
    pub until: Instant,
    /// Whether it asked for that.
    pub asked: bool,
}

impl Target {
    /// With so many connections that are shared.
    pub fn new(site: &Arc<Site>, address: Option<SocketAddr>, connections: usize, retry: &RetryConfig) -> Arc<Self> {
        let dialer = address.map_or_else(|| Arc::clone(&site.dialer), |address| Arc::new(site.dialer.only(address)));
        let slots = match site.template.protocol() {
            Protocol::Http | Protocol::Kafka => Vec::new(),
            Protocol::Grpc => (0..connections).map(|_| Slot::new(Arc::clone(&dialer))).collect(),
        };
        let health = Mutex::new(Health { rest: None, backoff: Backoff::new(retry) });
        Arc::new(Self { site: Arc::clone(site), address, dialer, slots, health })
    }

    /// The way there for the sender of that number.
    pub fn link(&self, sender: usize) -> Link {
        match self.slots.get(sender % self.slots.len().max(1)) {
            Some(slot) => Link::http2(Arc::clone(slot)),
            None => Link::http1(Arc::clone(&self.dialer)),
        }
    }

    /// Lets go of shared connections that lead where nothing should go any more; of all, if the target itself is gone.
    pub fn follow(&self, is_gone: bool) {
        self.slots.iter().for_each(|slot| slot.follow(is_gone));
    }

    /// Whether a request may go there now. Of those that ask when a rest is over, one is let through to find out, unless there
    /// is nowhere else to go; the others are, when it has its answer, or should have had it: after `trial`.
    pub fn may_be_tried(&self, is_only: bool, is_draining: bool, trial: Duration) -> Result<(), Resting> {
        let mut health = self.health.lock();
        let Some(rest) = &mut health.rest else { return Ok(()) };
        let now = Instant::now();
        let until = if is_draining && !rest.asked { rest.until.min(rest.since + DRAINING_DELAY) } else { rest.until };
        if now < until {
            return Err(Resting { until, asked: rest.asked });
        }
        if is_only {
            health.rest = None;
        } else {
            *rest = Rest { since: now, until: now + trial, asked: false };
        }
        Ok(())
    }

    /// It has answered. Says whether that is news: whoever waits for it need not wait any longer.
    pub fn answered(&self) -> bool {
        let mut health = self.health.lock();
        let is_news = health.rest.as_ref().is_some_and(|rest| !rest.asked);
        if is_news {
            health.rest = None;
            health.backoff.reset();
        }
        is_news
    }

    /// It has asked to be left alone by everybody.
    pub fn rests(&self, delay: Duration) {
        let now = Instant::now();
        let mut health = self.health.lock();
        let until = match &health.rest {
            Some(rest) if rest.asked => rest.until.max(now + delay),
            _ => now + delay,
        };
        health.rest = Some(Rest { since: now, until, asked: true });
    }

    /// A request that was begun then has failed. Of many that were under way, the first says all.
    pub fn failed(&self, begun: Instant) {
        let mut health = self.health.lock();
        if health.rest.as_ref().is_some_and(|rest| rest.asked || rest.since > begun) {
            return;
        }
        let now = Instant::now();
        let until = now + health.backoff.delay(None, rand::random());
        health.rest = Some(Rest { since: now, until, asked: false });
    }

    /// Whether it is left alone now.
    pub fn is_resting(&self) -> bool {
        self.health.lock().rest.as_ref().is_some_and(|rest| Instant::now() < rest.until)
    }
}

#[cfg(test)]
mod tests;
