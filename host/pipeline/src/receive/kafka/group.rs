//! Messages of a partition that came together, joined to requests: a message is often one trace of a few spans, and each request has its price.
//! Those of different partitions stay apart, so that one that goes, or whose messages are refused, takes no other with it.
//!
//! Only whole fields are joined: a message whose framing ends in the middle of one would swallow the next message's first bytes. One
//! like that stays alone, and is refused for what it is.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use otlp::batch::RequestContext;
use otlp::signal::Signal;
use otlp::wire::Reader;

use super::board::{Place, Taken};

/// Messages on their way to the handler as one request.
#[derive(Debug)]
pub(super) struct Group {
    /// The partition of all of them.
    pub place: Place,
    pub signal: Signal,
    pub context: Arc<RequestContext>,
    pub body: Bytes,
    /// Each message, and where it stands in the body.
    pub parts: Vec<(Taken, Range<usize>)>,
}

impl Group {
    /// Each message as a group of its own.
    pub fn apart(self) -> impl Iterator<Item = Self> {
        let Self { place, signal, context, body, parts } = self;
        parts.into_iter().map(move |(taken, range)| Self {
            place,
            signal,
            context: Arc::clone(&context),
            parts: vec![(taken, 0..range.len())],
            body: body.slice(range),
        })
    }
}

/// Groups that are still growing.
#[derive(Debug)]
pub(super) struct Gather {
    /// How large a group may get.
    most: usize,
    open: Vec<Open>,
    full: Vec<Group>,
    bytes: usize,
    messages: usize,
}

#[derive(Debug)]
struct Open {
    place: Place,
    signal: Signal,
    context: Arc<RequestContext>,
    body: Vec<u8>,
    parts: Vec<(Taken, Range<usize>)>,
}

impl Open {
    fn close(self) -> Group {
        let Self { place, signal, context, body, parts } = self;
        Group { place, signal, context, body: body.into(), parts }
    }
}

impl Gather {
    /// Groups of at most so many bytes, or of one message.
    pub fn new(most: usize) -> Self {
        Self { most, open: Vec::new(), full: Vec::new(), bytes: 0, messages: 0 }
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn messages(&self) -> usize {
        self.messages
    }

    pub fn add(&mut self, signal: Signal, context: Arc<RequestContext>, payload: &[u8], taken: Taken) {
        self.bytes += payload.len();
        self.messages += 1;
        let place = taken.place;
        if !is_framed(payload) {
            let parts = vec![(taken, 0..payload.len())];
            self.full.push(Group { place, signal, context, body: Bytes::copy_from_slice(payload), parts });
            return;
        }
        let joins = |open: &Open| open.place == place && open.context == context;
        if let Some(at) = self.open.iter().position(joins) {
            let open = &mut self.open[at];
            if open.body.len() + payload.len() <= self.most {
                let start = open.body.len();
                open.body.extend_from_slice(payload);
                open.parts.push((taken, start..open.body.len()));
                return;
            }
            self.full.push(self.open.swap_remove(at).close());
        }
        let parts = vec![(taken, 0..payload.len())];
        self.open.push(Open { place, signal, context, body: payload.to_vec(), parts });
    }

    pub fn finish(self) -> impl Iterator<Item = Group> {
        self.full.into_iter().chain(self.open.into_iter().map(Open::close))
    }
}

/// Whether a message ends where its last field does.
fn is_framed(payload: &[u8]) -> bool {
    let mut reader = Reader::new(payload);
    loop {
        match reader.next() {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::board::{Board, Place};
    use super::*;

    const PLACE: Place = (0, 0);

    fn bytes(field: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        otlp::wire::put_bytes(&mut message, 1, field);
        message
    }

    fn of_tenant(tenant: &str) -> Arc<RequestContext> {
        Arc::new(RequestContext { tenant: Some(tenant.into()), ..RequestContext::default() })
    }

    #[test]
    fn messages_of_one_partition_and_context_are_joined_up_to_the_bound_and_can_be_told_apart() {
        let board = Board::default();
        board.begin(PLACE);
        let mut gather = Gather::new(12);
        let messages =
            [("a", &b"one"[..]), ("a", b"two"), ("b", b"three"), ("a", b"four"), ("b", b"longer than any group")];
        for (at, (tenant, field)) in messages.iter().enumerate() {
            let taken = board.take(PLACE, at as i64).unwrap();
            gather.add(Signal::Traces, of_tenant(tenant), &bytes(field), taken);
        }
        let groups: Vec<Group> = gather.finish().collect();
        assert_eq!(groups.len(), 4);
        let mut seen = Vec::new();
        for group in groups {
            let whole: usize = group.parts.iter().map(|(_, range)| range.len()).sum();
            assert_eq!(whole, group.body.len());
            let tenant = group.context.tenant.clone().unwrap();
            for one in group.apart() {
                seen.push((one.parts[0].0.offset, tenant.to_string(), one.body.to_vec()));
            }
        }
        seen.sort();
        let wanted: Vec<_> =
            (0..).zip(messages).map(|(at, (tenant, field))| (at, tenant.to_owned(), bytes(field))).collect();
        assert_eq!(seen, wanted);
    }

    #[test]
    fn partitions_are_not_joined() {
        let board = Board::default();
        let mut gather = Gather::new(1000);
        for (partition, offset) in [(0, 5), (1, 5), (0, 6), (1, 6)] {
            if offset == 5 {
                board.begin((0, partition));
            }
            gather.add(Signal::Traces, Arc::default(), &bytes(b"x"), board.take((0, partition), offset).unwrap());
        }
        let mut groups: Vec<_> = gather.finish().map(|group| (group.place, group.parts.len())).collect();
        groups.sort_unstable();
        assert_eq!(groups, [((0, 0), 2), ((0, 1), 2)]);
    }

    #[test]
    fn a_message_that_is_cut_off_swallows_nothing_of_the_next() {
        let board = Board::default();
        board.begin(PLACE);
        let mut gather = Gather::new(1000);
        let mut cut = bytes(b"cut off");
        cut.pop();
        for (at, payload) in [bytes(b"one"), cut.clone(), bytes(b"two")].iter().enumerate() {
            gather.add(Signal::Traces, Arc::default(), payload, board.take(PLACE, at as i64).unwrap());
        }
        let bodies: Vec<Bytes> = gather.finish().map(|group| group.body).collect();
        assert_eq!(bodies, [cut, [bytes(b"one"), bytes(b"two")].concat()]);
    }
}
