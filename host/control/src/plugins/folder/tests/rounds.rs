//! The worker without its thread: what comes of events that wait together.

use std::sync::mpsc::Receiver;

use tokio::sync::oneshot;

use super::trials::of;
use super::*;
use crate::plugins::folder::command::{Ask, Command};

/// The worker, and the events that wait for it.
struct Rounds {
    worker: Worker,
    waiting: Receiver<Event>,
    folder: tempfile::TempDir,
}

impl Rounds {
    fn new(content: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "10-a.wasm", content);
        let chains = Chains::new(1, pipeline::chain::metrics::Metrics::default());
        let maker = NativeMaker {
            chains: chains.clone(),
            attempts: AtomicU32::new(0),
            kept: Kept::default(),
            shelf: Arc::default(),
            made: Arc::default(),
            held: Arc::default(),
        };
        let ground = Ground {
            chains,
            gate: Gate::new(),
            published: Box::new(|| {}),
            maker: Arc::new(maker),
            shelf: Arc::default(),
        };
        let (events, waiting) = sync_channel(EVENTS);
        let mut rounds =
            Self { worker: Worker::new(settings(folder.path(), &[]), ground, events).unwrap(), waiting, folder };
        rounds.until(|worker| worker.slots.get("a").is_some_and(|slot| slot.since.is_some()));
        rounds
    }

    /// Goes round and takes events until it is so.
    fn until(&mut self, wanted: impl Fn(&Worker) -> bool) {
        wait::until(|| {
            self.worker.round();
            if wanted(&self.worker) {
                return Ok(());
            }
            self.worker.wait(&self.waiting, Duration::from_millis(1));
            Err("not yet".to_owned())
        });
    }

    fn phase(&self, number: u64) -> Option<Phase> {
        Some(self.worker.history.get(number)?.phase)
    }
}

#[test]
fn what_is_rolled_back_to_before_anything_else_was_published_is_live() {
    let mut rounds = Rounds::new("ok 1");
    put(rounds.folder.path(), "10-a.wasm", "ok 2");
    rounds.until(|worker| worker.slots.get("a").is_some_and(|slot| slot.known.loading.is_some()));
    let made = rounds.waiting.iter().find_map(|event| match event {
        Event::Made(made) => Some(made),
        _ => None,
    });
    rounds.worker.made(*made.unwrap());
    let (answer, answered) = oneshot::channel();
    rounds.worker.obey(Command { ask: Ask::Rollback, stage: "a".to_owned(), answer });
    assert!(answered.blocking_recv().unwrap().is_ok());
    rounds.worker.round();
    let slot = rounds.worker.slots.get("a").unwrap();
    assert_eq!((slot.since, slot.status("a").version), (Some(1), of("ok 1")));
    assert_eq!((rounds.phase(1), rounds.phase(2)), (Some(Phase::Live), Some(Phase::Retired)));
    assert!(rounds.worker.drain.is_empty());
}
