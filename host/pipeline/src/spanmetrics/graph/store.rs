//! Halves that wait for their other half: so many bytes, so long.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::edge::Edge;
use super::half::Half;
use crate::spanmetrics::exemplar::TraceId;

/// How many of those that are due are let go with each that comes, so that none does much at once.
const WITH_EACH: usize = 4;

/// The tenant, the trace and the span that both halves have.
type Joint = (u64, TraceId, [u8; 8]);

/// Halves of some traces.
#[derive(Debug)]
pub struct Store {
    waiting: HashMap<Joint, (u64, Half), RandomState>,
    /// Since when which waits, in the order in which they came. Those that were joined since are among them.
    due: VecDeque<(Instant, u64, Joint)>,
    wait: Duration,
    most: usize,
    bytes: usize,
    number: u64,
}

/// What one takes in the table and in the list.
const EACH: usize = 2 * size_of::<(Joint, (u64, Half))>() + IN_LIST;
const IN_LIST: usize = 2 * size_of::<(Instant, u64, Joint)>();

impl Store {
    /// An empty one.
    pub fn new(wait: Duration, most: usize) -> Self {
        Self { waiting: HashMap::default(), due: VecDeque::new(), wait, most, bytes: 0, number: 0 }
    }

    /// Bytes of what waits, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Joins a half with the one that waits for it, or lets it wait. What comes of that is put into `edges`.
    pub fn offer(&mut self, half: Half, now: Instant, edges: &mut Vec<Edge>) {
        self.expire(now, WITH_EACH, edges);
        let Some(joint) = half.joint else { return };
        let joint = (half.tenant, half.trace, joint);
        if let Some((_, other)) = self.waiting.get(&joint) {
            if let Some(edge) = half.join(other) {
                self.bytes -= taken(other) - IN_LIST;
                self.waiting.remove(&joint);
                edges.push(edge);
            }
            // The same side twice: a span that was sent again. It waits already.
            return;
        }
        if self.bytes + taken(&half) > self.most {
            self.expire(now, usize::MAX, edges);
            if self.bytes + taken(&half) > self.most {
                edges.push(half.dropped());
                return;
            }
        }
        self.number += 1;
        self.bytes += taken(&half);
        self.due.push_back((now, self.number, joint));
        self.waiting.insert(joint, (self.number, half));
    }

    /// All that wait, in the order in which they came.
    pub fn into_halves(mut self) -> impl Iterator<Item = Half> {
        let due = std::mem::take(&mut self.due);
        due.into_iter().filter_map(move |(_, number, joint)| {
            let is_it = self.waiting.get(&joint).is_some_and(|(known, _)| *known == number);
            is_it.then(|| self.waiting.remove(&joint)).flatten().map(|(_, half)| half)
        })
    }

    /// Lets go of up to so many that have waited long enough.
    pub fn expire(&mut self, now: Instant, most: usize, edges: &mut Vec<Edge>) {
        for _ in 0..most {
            let Some(&(since, number, joint)) = self.due.front() else { break };
            if now.saturating_duration_since(since) < self.wait {
                break;
            }
            self.due.pop_front();
            self.bytes -= IN_LIST;
            if self.waiting.get(&joint).is_some_and(|(known, _)| *known == number)
                && let Some((_, half)) = self.waiting.remove(&joint)
            {
                self.bytes -= taken(&half) - IN_LIST;
                edges.push(half.unpaired());
            }
        }
    }
}

fn taken(half: &Half) -> usize {
    // Names are often shared. Where they are not, they count.
    EACH + half.service.len() + half.peer.as_ref().map_or(0, |peer| peer.len())
}
