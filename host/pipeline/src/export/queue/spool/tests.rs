//! Whatever the order in which records are written, decided, read and done with: each that is published goes to the senders once, and no other.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;

use otlp::signal::Signal;
use prometheus_client::registry::Registry;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::super::super::metrics::Metrics;
use super::*;

fn parcel(number: u64) -> Parcel {
    let mut body = vec![0; 100];
    rand::fill(&mut body[8..]);
    body[..8].copy_from_slice(&number.to_le_bytes());
    Parcel { signal: Signal::Traces, body: body.into(), items: 1, context: Arc::default(), custody: None }
}

fn number(parcel: &Parcel) -> u64 {
    u64::from_le_bytes(parcel.body[..8].try_into().unwrap())
}

struct Model {
    spool: Arc<Spool>,
    rng: StdRng,
    next: u64,
    /// Written and undecided.
    staged: Vec<(u64, Slot)>,
    /// Published, and how often they came.
    published: BTreeMap<u64, u32>,
    tickets: Vec<Ticket>,
}

impl Model {
    fn stage(&mut self) {
        let (sender, written) = channel();
        let then: Then = Box::new(move |outcome| drop(sender.send(outcome)));
        assert!(self.spool.stage(Prepared::of(&parcel(self.next), 0), false, then));
        match written.recv().unwrap() {
            Ok(slot) => self.staged.push((self.next, slot)),
            Err(unwritten) => self.spool.failed(unwritten.sequence),
        }
        self.next += 1;
    }

    /// Mostly the oldest, as it is with one disk.
    fn decide(&mut self) {
        if self.staged.is_empty() {
            return;
        }
        let at = if self.rng.random_ratio(3, 4) { 0 } else { self.rng.random_range(0..self.staged.len()) };
        let (number, slot) = self.staged.remove(at);
        if self.rng.random_ratio(1, 8) {
            return self.spool.abandon(&slot);
        }
        self.published.insert(number, 0);
        let has_room = self.rng.random_ratio(1, 3);
        let mut place = None;
        self.spool.publish(&slot, 1, || has_room, |decided| place = Some(*decided == Place::Memory));
        if place.unwrap() {
            self.tickets.push(Ticket::new(Arc::clone(self.spool.store()), slot));
            self.came(number);
        }
    }

    fn read(&mut self) {
        let mut piece = Piece::default();
        self.spool.read(self.rng.random_range(1..3000), |read| piece = read).unwrap();
        assert_eq!(piece.lost, Sum::default());
        for read in piece.parcels {
            self.came(number(&read.parcel));
            self.tickets.push(read.ticket);
        }
    }

    fn came(&mut self, number: u64) {
        *self.published.get_mut(&number).unwrap_or_else(|| panic!("{number} was not published")) += 1;
    }

    fn settle(&mut self) {
        let some = self.rng.random_range(0..=self.tickets.len());
        Ticket::settle(self.tickets.drain(..some));
    }
}

#[test]
fn each_record_goes_to_the_senders_once() {
    let seed: u64 = std::env::var("TRACEMILL_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("TRACEMILL_SEED={seed}");
    for round in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let counters = Metrics::register(&mut Registry::default()).of_disk("test", Signal::Traces);
        // Segments of some hundred records.
        let (store, backlog) = Store::open(folder.path(), 1, counters.clone()).unwrap();
        let spool = Spool::new(store, &backlog);
        let rng = StdRng::seed_from_u64(seed.wrapping_add(round));
        let (staged, published, tickets) = (Vec::new(), BTreeMap::new(), Vec::new());
        let mut model = Model { spool, rng, next: 0, staged, published, tickets };
        for _ in 0..2000 {
            match model.rng.random_range(0..10) {
                0..4 => model.stage(),
                4..8 => model.decide(),
                8 => model.read(),
                _ => model.settle(),
            }
            if model.rng.random_ratio(1, 200) {
                let room = &mut *model.spool.store().faults().room.lock();
                *room = if room.is_some() { None } else { Some(50) };
            }
        }
        *model.spool.store().faults().room.lock() = None;
        while !model.staged.is_empty() {
            model.decide();
        }
        let most = model.next;
        for _ in 0..most {
            if !model.spool.has_unread() {
                break;
            }
            model.read();
        }
        assert_eq!(model.spool.unread(), Sum::default(), "seed {seed}, round {round}");
        let wrong: Vec<_> = model.published.iter().filter(|(_, times)| **times != 1).collect();
        assert!(wrong.is_empty(), "seed {seed}, round {round}: {wrong:?}");
        Ticket::settle(model.tickets.drain(..));
        model.spool.store().flush();
        assert_eq!(counters.disk_bytes.get(), 0, "seed {seed}, round {round}");
    }
}
