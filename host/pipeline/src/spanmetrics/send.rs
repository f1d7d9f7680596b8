//! Sends the metrics of spans as OTLP to the destinations that take metrics, at an interval and once more at the end. On a thread of its
//! own: no mill and no socket waits for it.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use otlp::signal::Signal;

use super::SpanMetrics;
use super::config::Temporality;
use super::durations::Values;
use super::message::{Message, messages};
use super::now::Now;
use super::series::{Part, Totals};
use crate::chain::outlet::Outlet;
use crate::export::{Parcel, Taken};
use crate::forward::Metrics as Counted;
use crate::request::Refusal;

/// How often the mills' tables are added up at least, so that they hold no more than what was seen in that time. Also how soon another
/// interval is noticed.
const TICK: Duration = Duration::from_secs(5);
/// How long a disk may take for what is sent; then it is counted as refused.
const DISK: Duration = Duration::from_secs(30);

/// Sends until it is dropped, and once more then.
#[derive(Debug)]
pub struct Sender {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sender {
    /// Begins. What is sent is counted at the door like metrics that came in.
    pub fn start(metrics: SpanMetrics, outlet: Arc<dyn Outlet>, counted: Counted) -> io::Result<Self> {
        let (stop, stopped) = sync_channel(0);
        let run = move || run(&metrics, &*outlet, &counted, &stopped);
        let thread = std::thread::Builder::new().name("span-metrics".into()).spawn(run)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

fn run(metrics: &SpanMetrics, outlet: &dyn Outlet, counted: &Counted, stopped: &Receiver<()>) {
    let mut patience = Duration::ZERO;
    loop {
        let ends = !matches!(stopped.recv_timeout(patience), Err(RecvTimeoutError::Timeout));
        patience = TICK;
        let now = Now::read();
        if let Some(live) = metrics.collect(now) {
            for part in live.parts() {
                if ends || due(part, now.steady).is_zero() {
                    send(part, outlet, counted, now.steady);
                }
                patience = patience.min(due(part, now.steady));
            }
        }
        if ends {
            return;
        }
    }
}

/// How long it is until a part is to be sent.
fn due(part: &Part, now: Instant) -> Duration {
    let left = part.config.interval.saturating_sub(now.saturating_duration_since(part.totals().sent));
    if left.is_zero() { Duration::ZERO } else { left.max(Duration::from_millis(1)) }
}

/// Sends what there is, if there is somebody who takes it. What is refused is kept: it is sent with what has come until the next time.
/// Whoever shows the sums does not wait for queues and disks.
fn send(part: &Part, outlet: &dyn Outlet, counted: &Counted, now: Instant) {
    let mut totals = part.totals();
    totals.sent = now;
    if !outlet.takes(Signal::Metrics) {
        return;
    }
    let messages: Vec<_> = messages(part, &totals)
        .into_iter()
        .map(|message| {
            let deltas = take(part, &mut totals, &message.keys);
            (message, deltas)
        })
        .collect();
    drop(totals);
    for (Message { body, points, .. }, deltas) in messages {
        let parcel = Parcel { signal: Signal::Metrics, body, items: points, context: Arc::default(), custody: None };
        let outcome = deliver(outlet, parcel);
        counted.count(Signal::Metrics, points, outcome.is_ok());
        if let Err(refusal) = outcome {
            tracing::warn!(points, reason = %refusal.message, "metrics of spans are refused by the queues");
            give_back(part, deltas);
        }
    }
}

/// What is sent of a series once only, and since when it came.
struct Delta {
    key: Box<[u8]>,
    values: Values,
    since: u64,
}

/// Takes what is sent once only. Where everything is sent each time, that is the exemplars alone.
fn take(part: &Part, totals: &mut Totals, keys: &[Box<[u8]>]) -> Vec<Delta> {
    let upto = totals.upto;
    let mut deltas = Vec::new();
    for key in keys {
        let Some(series) = totals.get_mut(key) else { continue };
        series.exemplars.sent();
        if part.config.temporality == Temporality::Delta {
            let values = series.unsent.replace(Values::default()).unwrap_or_default();
            let since = std::mem::replace(&mut series.since, upto);
            deltas.push(Delta { key: key.clone(), values, since });
        }
    }
    deltas
}

/// What was refused is to be sent with what comes next.
fn give_back(part: &Part, deltas: Vec<Delta>) {
    let mut totals = part.totals();
    for Delta { key, values, since } in deltas {
        let Some(series) = totals.get_mut(&key) else { continue };
        series.unsent.get_or_insert_default().add(&values, part.config.max_buckets);
        series.since = since;
    }
}

fn deliver(outlet: &dyn Outlet, parcel: Parcel) -> Result<(), Refusal> {
    match outlet.accept(parcel)? {
        Taken::Whole => Ok(()),
        Taken::Later(commit) => {
            let (told, outcome) = sync_channel(1);
            commit.start(Box::new(move |taken| {
                // Nobody waits any more where the disk took too long.
                let _late = told.try_send(taken);
            }));
            let silent = |_| Err(Refusal::unavailable(TICK, "the disk does not answer"));
            outcome.recv_timeout(DISK).unwrap_or_else(silent)
        }
    }
}

#[cfg(test)]
mod tests;
