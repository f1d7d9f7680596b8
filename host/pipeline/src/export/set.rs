//! The queues of all destinations of one signal at one time, and what each of them gets of a parcel: by conditions first, then, where a
//! destination is routed by trace, by trace.

use std::ops::{Deref, Range};
use std::sync::Arc;

use super::Parcel;
use super::circle::Circle;
use super::destination::Destination;
use super::routes::Routes;
use crate::request::Refusal;

/// The destinations of one time. Dereferences to all their queues: those of one destination stand together.
#[derive(Default)]
pub(super) struct Set {
    destinations: Vec<Arc<Destination>>,
    groups: Vec<Group>,
    /// Who gets what; `None` where each gets everything.
    routes: Option<Routes>,
    /// Whether all queues get the same.
    is_plain: bool,
}

/// The queues of one destination.
struct Group {
    of: Range<usize>,
    /// How its spans are shared out; `None` where it has one queue for all.
    circle: Option<Arc<Circle>>,
}

impl Group {
    fn share(&self, parcel: Parcel, shares: &mut Vec<(usize, Parcel)>) {
        match &self.circle {
            None => shares.push((self.of.start, parcel)),
            Some(circle) => {
                let parts = circle.divide(&parcel).into_iter();
                shares.extend(parts.map(|(at, part)| (self.of.start + at, part)));
            }
        }
    }
}

/// What the queues get of a parcel.
pub(super) struct Division {
    /// By the queue's place.
    pub shares: Vec<(usize, Parcel)>,
    /// How many items nobody gets.
    pub unrouted: u32,
}

impl Set {
    /// Of these destinations, each with its queues. The conditions are in the same order.
    pub fn new(groups: Vec<(Vec<Arc<Destination>>, Arc<Circle>)>, routes: Option<Routes>) -> Self {
        let mut set = Self { is_plain: routes.is_none(), routes, ..Self::default() };
        for (destinations, circle) in groups {
            let is_routed = destinations.iter().any(|one| one.member().is_some());
            set.is_plain &= !is_routed;
            let first = set.destinations.len();
            set.destinations.extend(destinations);
            set.groups.push(Group { of: first..set.destinations.len(), circle: is_routed.then_some(circle) });
        }
        set
    }

    /// Whether all queues get all of every parcel.
    pub fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// The queues of each destination.
    pub fn groups(&self) -> impl Iterator<Item = &[Arc<Destination>]> {
        self.groups.iter().map(|group| &self.destinations[group.of.clone()])
    }

    /// What each queue gets of a parcel.
    pub fn divide(&self, whole: &Parcel) -> Division {
        let Some(routes) = &self.routes else { return Division { shares: self.share_all(whole), unrouted: 0 } };
        let shares = routes.share(whole);
        let mut division = Division { shares: Vec::new(), unrouted: shares.unrouted };
        for (group, share) in self.groups.iter().zip(shares.each) {
            if let Some((body, items)) = share {
                group.share(whole.part(body, items), &mut division.shares);
            }
        }
        division
    }

    /// The same, whatever the conditions.
    pub fn share_all(&self, whole: &Parcel) -> Vec<(usize, Parcel)> {
        let mut shares = Vec::new();
        self.groups.iter().for_each(|group| group.share(whole.clone(), &mut shares));
        shares
    }

    /// Why the next parcel would be refused, as far as that is known already.
    pub fn is_full(&self) -> Option<Refusal> {
        // Of queues that get a part only, a full one may get nothing of it.
        let mut every = true;
        let mut first = None;
        for (at, group) in self.groups.iter().enumerate() {
            let mut fulls = self.destinations[group.of.clone()].iter().map(|one| one.queue().is_full());
            let one = fulls.next().flatten();
            let full = if fulls.all(|full| full.is_some()) { one } else { None };
            if full.is_some() && self.routes.as_ref().is_none_or(|routes| routes.is_everything(at)) {
                return full;
            }
            every &= full.is_some();
            first = first.or(full);
        }
        first.filter(|_| every)
    }

    /// How many bytes the largest parcel may have that would be taken now: where it is shared out, at best.
    pub fn room(&self) -> usize {
        let room = |group: &Group| self.destinations[group.of.clone()].iter().map(|one| one.queue().room()).max();
        self.groups.iter().filter_map(room).min().unwrap_or(usize::MAX)
    }
}

impl Deref for Set {
    type Target = [Arc<Destination>];

    fn deref(&self) -> &[Arc<Destination>] {
        &self.destinations
    }
}
