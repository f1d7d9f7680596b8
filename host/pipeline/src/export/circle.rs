//! The queues that a destination's spans are shared out among now, by trace, for those who hold some and have to pass them on.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::Parcel;
use super::apart;
use super::destination::Destination;
use super::queue::Queue;
use super::ring::Ring;

/// The queues of one time.
#[derive(Default)]
pub(super) struct Circle {
    ring: Ring,
    queues: Vec<Arc<Queue>>,
}

impl Circle {
    /// Those of all endpoints of a destination, or the only one of one that is not routed.
    pub fn of(destinations: &[Arc<Destination>]) -> Self {
        let name = |one: &Arc<Destination>| one.member().map_or_else(String::new, |member| member.name.clone());
        let names: Vec<String> = destinations.iter().map(name).collect();
        let queues = destinations.iter().map(|one| Arc::clone(one.queue())).collect();
        Self { ring: Ring::new(names.iter().map(String::as_str)), queues }
    }

    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    pub fn queue(&self, at: usize) -> &Arc<Queue> {
        &self.queues[at]
    }

    /// What each of them gets of a parcel, by its place; those that get nothing are not among the answers.
    pub fn divide(&self, parcel: &Parcel) -> Vec<(usize, Parcel)> {
        let parts = apart::by_trace(&parcel.body, parcel.items, self.ring.len(), |trace| self.ring.owner(trace));
        let part = |(at, part): (usize, Option<_>)| part.map(|(body, items)| (at, parcel.part(body, items)));
        parts.into_iter().enumerate().filter_map(part).collect()
    }
}

/// The same, whichever they are: outlives every change of them.
#[derive(Default)]
pub(super) struct Heirs {
    current: ArcSwap<Circle>,
    news: Notify,
}

impl Heirs {
    /// Empty while no endpoint is known.
    pub fn current(&self) -> Arc<Circle> {
        self.current.load_full()
    }

    pub fn are(&self, circle: Arc<Circle>) {
        self.current.store(circle);
        self.news.notify_waiters();
    }

    /// Told when they change.
    pub fn news(&self) -> &Notify {
        &self.news
    }
}
