//! One span of a call: the side that calls or the one that is called, and what it knows of the other.

use std::sync::Arc;

use otlp::batch::{Batch, Span};
use otlp::value::{self, Value};

use super::edge::{Connection, Edge, Ends, Outcome};
use crate::spanmetrics::exemplar::{Candidate, TraceId};
use crate::spanmetrics::key;

/// Attributes that say that the other side is a database.
const DATABASE: [&str; 2] = ["db.system.name", "db.system"];
/// Who calls a server whose span has no parent.
const USER: &str = "user";

/// Which side of which kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Asks and waits.
    Client,
    /// Answers.
    Server,
    /// Sends a message.
    Producer,
    /// Gets one.
    Consumer,
}

impl Side {
    /// By the span's kind; `None` for those that take no part in a call.
    pub fn of(kind: i32) -> Option<Self> {
        match kind {
            2 => Some(Self::Server),
            3 => Some(Self::Client),
            4 => Some(Self::Producer),
            5 => Some(Self::Consumer),
            _ => None,
        }
    }

    /// Whether the other side's span is the child.
    pub fn is_calling(self) -> bool {
        matches!(self, Self::Client | Self::Producer)
    }

    fn connection(self) -> Connection {
        match self {
            Self::Client | Self::Server => Connection::Direct,
            Self::Producer | Self::Consumer => Connection::Messaging,
        }
    }
}

/// One span of a call.
#[derive(Debug, Clone)]
pub struct Half {
    /// Its tenant, see [`Graph::tenant`](super::Graph::tenant).
    pub tenant: u64,
    /// Its trace.
    pub trace: TraceId,
    /// The id that both spans have: the caller's. `None` where the one that is called has no parent.
    pub joint: Option<[u8; 8]>,
    /// Which side.
    pub side: Side,
    /// Whether the other side is a database, which sends no spans.
    pub is_database: bool,
    /// Its service.
    pub service: Arc<str>,
    /// What the caller calls the other side.
    pub peer: Option<Arc<str>>,
    /// Whether it has the status ERROR.
    pub failed: bool,
    /// How long it took.
    pub seconds: f64,
    /// How many spans stand behind it.
    pub weight: f64,
    /// May stand for the edge.
    pub exemplar: Option<Candidate>,
}

impl Half {
    /// The edge, where no other half will come.
    pub fn alone(&self) -> Option<Edge> {
        if self.is_database
            && let Some(peer) = &self.peer
        {
            // A database's share of the time is not known apart: as elsewhere, both sides get the whole.
            let edge = self.edge(peer.clone(), Connection::Database, Outcome::Request);
            return Some(Edge { server_seconds: edge.client_seconds, ..edge });
        }
        let called_by_nobody = !self.side.is_calling() && self.joint.is_none();
        called_by_nobody.then(|| self.edge(USER.into(), Connection::Virtual, Outcome::Request))
    }

    /// The edge where no other half has come.
    pub fn unpaired(&self) -> Edge {
        match &self.peer {
            Some(peer) => {
                let connection = self.side.connection();
                let messaging = connection == Connection::Messaging;
                let connection = if messaging { connection } else { Connection::Virtual };
                self.edge(peer.clone(), connection, Outcome::Request)
            }
            None => self.edge("".into(), self.side.connection(), Outcome::Unpaired),
        }
    }

    /// The edge where it could not wait.
    pub fn dropped(&self) -> Edge {
        self.edge("".into(), self.side.connection(), Outcome::Dropped)
    }

    /// The edge of two halves; `None` where they are the same side.
    pub fn join(&self, other: &Self) -> Option<Edge> {
        let (calling, called) = match (self.side.is_calling(), other.side.is_calling()) {
            (true, false) => (self, other),
            (false, true) => (other, self),
            _ => return None,
        };
        let messaging = calling.side == Side::Producer || called.side == Side::Consumer;
        Some(Edge {
            ends: Ends { client: calling.service.clone(), server: called.service.clone() },
            connection: if messaging { Connection::Messaging } else { Connection::Direct },
            outcome: Outcome::Request,
            failed: calling.failed || called.failed,
            client_seconds: Some(calling.seconds),
            server_seconds: Some(called.seconds),
            weight: calling.weight.max(called.weight),
            exemplar: calling.exemplar.or(called.exemplar),
        })
    }

    fn edge(&self, other: Arc<str>, connection: Connection, outcome: Outcome) -> Edge {
        let (client, server) =
            if self.side.is_calling() { (self.service.clone(), other) } else { (other, self.service.clone()) };
        let seconds = Some(self.seconds);
        let (client_seconds, server_seconds) = if self.side.is_calling() { (seconds, None) } else { (None, seconds) };
        Edge {
            ends: Ends { client, server },
            connection,
            outcome,
            failed: self.failed,
            client_seconds,
            server_seconds,
            weight: self.weight,
            exemplar: self.exemplar,
        }
    }
}

/// Where a peer's name may stand, found in one pass over a span's attributes.
#[derive(Debug)]
pub struct Peers {
    /// The first that is there names the peer.
    keys: Vec<Arc<str>>,
    /// A bit for each length that a key has, those of databases too; the last one stands for all that are longer.
    lengths: u64,
}

impl Peers {
    /// Of these attributes.
    pub fn new(keys: &[Arc<str>]) -> Self {
        let all = keys.iter().map(|key| key.len()).chain(DATABASE.iter().map(|key| key.len()));
        Self { keys: keys.to_vec(), lengths: all.fold(0, |lengths, len| lengths | bit(len)) }
    }

    /// The peer's name, cut to `most` bytes, and whether it is a database.
    pub fn find<'b>(&self, batch: &'b Batch, span: &Span, most: usize) -> (Option<&'b [u8]>, bool) {
        let mut best: Option<(usize, &[u8])> = None;
        let mut is_database = false;
        for attribute in batch.attributes(span.attributes) {
            if self.lengths & bit(attribute.key.len as usize) == 0 {
                continue;
            }
            let name = batch.get(attribute.key);
            is_database |= DATABASE.iter().any(|known| known.as_bytes() == name);
            let Some(at) = self.keys.iter().position(|known| known.as_bytes() == name) else { continue };
            if best.is_none_or(|(known, _)| at < known)
                && let Value::Text(text) = value::read(batch.get(attribute.value))
                && !text.is_empty()
            {
                best = Some((at, text));
            }
        }
        (best.map(|(_, text)| key::cut(text, most)), is_database)
    }
}

fn bit(len: usize) -> u64 {
    1 << len.min(63)
}
