//! Where requests enter the chain: decides whether a batch runs where it arrived or on a mill's own thread, joins small
//! requests while mills are busy, and hands each its own answer.
//!
//! Running where it arrived saves two wake-ups, which at 32 spans a request cost more than the chain itself. It is done
//! while a mill is free, nobody waits, and the chain's recent 99th percentile is short; otherwise a slow plugin would
//! stall sockets, and the request goes to the mills' own threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError};
use otlp::batch::Incoming;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::gate::Gate;
use super::live::Chains;
use super::metrics::PlaceLabel;
use super::mill::{Behind, Mill, joinable};
use super::outlet::Outlet;
use super::pace::Pace;
use crate::custody::Custody;
use crate::request::{Answer, Refusal, Request};
use crate::tail::Tail;

/// Chains whose recent 99th percentile is above this run on the mills' own threads.
const INLINE_BELOW: Duration = Duration::from_millis(2);
/// Requests above this size do too: indexing them alone takes a while.
const INLINE_BYTES: usize = 1024 * 1024;
/// How many requests may wait for a mill; their bytes are bounded by the budget of the receivers.
const WAITING: usize = 4096;
/// How many bytes and requests are joined at most.
const JOIN_BYTES: usize = 512 * 1024;
/// Of the room in the queues, joined requests take up to a part only: plugins may add to them, and other mills join too. What
/// each of them has room for by itself must not be too large together.
const JOIN_SHARE: usize = 4;
const JOIN_REQUESTS: usize = 64;
/// What a sender is told to wait when the mills are that far behind.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Takes requests through the chain. Its threads end when it is dropped.
pub struct Intake {
    shared: Arc<Shared>,
    queue: Sender<Job>,
}

struct Shared {
    mills: Vec<Mutex<Mill>>,
    chains: Chains,
    /// The trace buffer, if there is one.
    tail: Option<Tail>,
    outlet: Arc<dyn Outlet>,
    gate: Gate,
    pace: Pace,
    /// Where the search for a free mill begins, so that they wear evenly.
    next: AtomicUsize,
    /// See [`super::note`].
    note_generation: bool,
}

/// A request that waits for a mill.
struct Job {
    request: Request,
    answer: oneshot::Sender<Answer>,
}

impl Intake {
    /// Starts the mills' threads. `note_generation` is a test setting: it notes the generation on each span.
    pub fn start(
        chains: Chains,
        tail: Option<Tail>,
        outlet: Arc<dyn Outlet>,
        gate: Gate,
        note_generation: bool,
    ) -> std::io::Result<Self> {
        let (queue, jobs) = crossbeam_channel::bounded(WAITING);
        let shared = Arc::new(Shared {
            mills: (0..chains.mills()).map(|_| Mutex::default()).collect(),
            chains,
            tail,
            outlet,
            gate,
            pace: Pace::new(Duration::from_micros(100)),
            next: AtomicUsize::new(0),
            note_generation,
        });
        for number in 0..shared.mills.len() {
            let (shared, jobs) = (shared.clone(), jobs.clone());
            std::thread::Builder::new().name(format!("mill-{number}")).spawn(move || work(&shared, number, &jobs))?;
        }
        Ok(Self { shared, queue })
    }

    /// Lets mills that stand idle turn to the live chain, so that they let go of retired plugins. Called after a publish, from
    /// any thread; never waits for a mill that is busy, which turns by itself when its batch ends.
    pub fn sweep(&self) {
        let chain = self.shared.chains.current();
        for mill in &self.shared.mills {
            if let Some(mut mill) = mill.try_lock() {
                mill.follow(&chain);
            }
        }
    }

    /// Takes a request of traces through the chain and into the queues.
    pub async fn take(&self, request: Request) -> Answer {
        if let Some(refusal) = self.refuses() {
            return Err(refusal);
        }
        match self.shared.run_here(&request, &self.queue) {
            Some(Ran::Answered(answer)) => answer,
            Some(Ran::Pending(answered)) => answered.await.unwrap_or_else(|_| Err(gone())),
            None => self.hand_off(request).await,
        }
    }

    /// Whether traces are refused now whatever they hold.
    #[must_use]
    pub fn refuses(&self) -> Option<Refusal> {
        self.shared.gate.refuses()
    }

    async fn hand_off(&self, request: Request) -> Answer {
        let (answer, answered) = oneshot::channel();
        match self.queue.try_send(Job { request, answer }) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                return Err(Refusal::unavailable(RETRY_AFTER, "the plugins are not keeping up, try again later"));
            }
        }
        answered.await.unwrap_or_else(|_| Err(gone()))
    }
}

fn gone() -> Refusal {
    Refusal::unavailable(RETRY_AFTER, "the proxy is shutting down, try again")
}

/// What came of a request that was run where it arrived.
enum Ran {
    Answered(Answer),
    /// It is answered when the disks have it.
    Pending(oneshot::Receiver<Answer>),
}

impl Shared {
    /// Runs a request on the calling thread, if that is the better place.
    fn run_here(&self, request: &Request, queue: &Sender<Job>) -> Option<Ran> {
        if request.body.len() > INLINE_BYTES || !queue.is_empty() || self.pace.p99() > INLINE_BELOW {
            return None;
        }
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let mut mill = (0..self.mills.len()).find_map(|i| self.mills[(first + i) % self.mills.len()].try_lock())?;
        let incoming = [Incoming { body: request.body.clone(), context: request.context.clone() }];
        let custody = std::slice::from_ref(&request.custody);
        let answer = self.run(&mut mill, &incoming, custody, "here").first().cloned()?;
        let Some(pending) = mill.take_pending() else { return Some(Ran::Answered(answer)) };
        drop(mill);
        let (sender, answered) = oneshot::channel();
        pending.finish(self.chains.metrics(), move |outcome| {
            // A sender that has gone away hears nothing; its spans are taken all the same.
            let _gone = sender.send(outcome.and(answer));
        });
        Some(Ran::Pending(answered))
    }

    fn run<'m>(
        &self,
        mill: &'m mut Mill,
        requests: &[Incoming],
        custody: &[Option<Arc<Custody>>],
        place: &'static str,
    ) -> &'m [Answer] {
        let started = Instant::now();
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let (tail, outlet) = (self.tail.as_ref(), &*self.outlet);
            let behind = Behind { tail, outlet, custody, note: self.note_generation };
            mill.run(requests, &self.chains, behind);
        }));
        if ran.is_err() {
            // A bug of ours must not take the mill with it: nothing of the batch was queued, and it may be sent again.
            mill.reset(requests.len());
        }
        // Where another chain was published meanwhile: nobody knows when the next batch comes, and what is retired does not wait for it.
        mill.catch_up(&self.chains);
        self.pace.sample(started.elapsed());
        self.chains.metrics().batches.get_or_create(&PlaceLabel { place }).inc();
        mill.answers()
    }
}

/// A mill's own thread: takes what waits, and joins what may be joined.
fn work(shared: &Shared, number: usize, jobs: &Receiver<Job>) {
    let mut left: Option<Job> = None;
    while let Some(first) = left.take().or_else(|| jobs.recv().ok()) {
        let mut bytes = first.request.body.len();
        let mut batch = vec![first];
        let most = JOIN_BYTES.min(shared.outlet.room() / JOIN_SHARE);
        // Only what is here already: an idle mill never waits for more.
        while batch.len() < JOIN_REQUESTS && bytes < most {
            let Ok(next) = jobs.try_recv() else { break };
            bytes += next.request.body.len();
            if bytes > most || !may_join(&batch[0].request, &next.request) {
                left = Some(next);
                break;
            }
            batch.push(next);
        }
        let incoming: Vec<Incoming> = batch
            .iter()
            .map(|job| Incoming { body: job.request.body.clone(), context: job.request.context.clone() })
            .collect();
        let custody: Vec<_> = batch.iter().map(|job| job.request.custody.clone()).collect();
        let mut mill = shared.mills[number].lock();
        shared.run(&mut mill, &incoming, &custody, "mill");
        let Some(pending) = mill.take_pending() else {
            for (job, answer) in batch.into_iter().zip(mill.answers()) {
                // A sender that has gone away hears nothing; its spans are taken all the same.
                let _gone = job.answer.send(answer.clone());
            }
            continue;
        };
        let answers = mill.answers().to_vec();
        drop(mill);
        pending.finish(shared.chains.metrics(), move |outcome| {
            for (job, answer) in batch.into_iter().zip(answers) {
                let _gone = job.answer.send(outcome.clone().and(answer));
            }
        });
    }
}

/// Whether two requests may run as one batch, and what is left of them wait for its decision under one custody.
fn may_join(one: &Request, other: &Request) -> bool {
    let go_together = Custody::go_together(one.custody.as_deref(), other.custody.as_deref());
    go_together && joinable(&one.context, &other.context)
}
