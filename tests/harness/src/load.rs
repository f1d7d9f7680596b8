//! Traffic at a set pace, sent as a well-behaved SDK sends: refusals that may be retried are, after the delay that was asked.

use crate::client::{Answer, Client};
use crate::spans::{Generator, Made};
use anyhow::{Result, bail};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// What to send.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Spans in all; at least, where the end is told.
    pub spans: usize,
    /// Spans in a request.
    pub per_request: usize,
    /// Spans a second; 0 sends as fast as answers come.
    pub rate: usize,
    /// Requests under way at once.
    pub senders: usize,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Sent {
    /// Ids of the spans whose request was accepted whole.
    pub acknowledged: Vec<u64>,
    /// Those among them that are health checks.
    pub health: Vec<u64>,
    /// How long each accepted request took from when it was due, with its retries.
    pub latencies: Vec<Duration>,
    /// How often a request was refused and sent again.
    pub retries: u64,
    /// From the first request to the last answer.
    pub took: Duration,
}

impl Sent {
    /// Spans a second that were accepted.
    pub fn rate(&self) -> f64 {
        self.acknowledged.len() as f64 / self.took.as_secs_f64()
    }

    /// The latency that this share of the requests does not exceed.
    pub fn latency(&self, share: f64) -> Duration {
        quantile(&self.latencies, share)
    }
}

/// The time that this share of them does not exceed; none without any.
pub fn quantile(times: &[Duration], share: f64) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len().saturating_sub(1) as f64 * share).round() as usize;
    sorted.get(at).copied().unwrap_or_default()
}

const BACKOFF: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_mins(1);

/// Sends it all; an answer that is neither whole nor retryable is an error.
pub async fn run(client: &Client, generator: Generator, load: Load) -> Result<Sent> {
    run_until(client, generator, load, &Arc::new(AtomicBool::new(true))).await
}

/// Sends that and goes on until it is `over`.
pub async fn run_until(client: &Client, generator: Generator, load: Load, over: &Arc<AtomicBool>) -> Result<Sent> {
    let over = Arc::clone(over);
    let source = Arc::new(Mutex::new(Source { generator, load, made: 0, started: Instant::now(), over }));
    let sent = Arc::new(Mutex::new(Sent::default()));
    let started = Instant::now();
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..load.senders {
        senders.spawn(sender(client.clone(), Arc::clone(&source), Arc::clone(&sent)));
    }
    while let Some(ended) = senders.join_next().await {
        ended??;
    }
    let mut sent = std::mem::take(&mut *sent.lock());
    sent.took = started.elapsed();
    Ok(sent)
}

struct Source {
    generator: Generator,
    load: Load,
    made: usize,
    started: Instant,
    over: Arc<AtomicBool>,
}

impl Source {
    /// The next request and when it is due.
    fn next(&mut self) -> Option<(Made, Instant)> {
        let count = if self.over.load(Ordering::Relaxed) {
            self.load.per_request.min(self.load.spans.saturating_sub(self.made))
        } else {
            self.load.per_request
        };
        let after = if self.load.rate == 0 { 0.0 } else { self.made as f64 / self.load.rate as f64 };
        self.made += count;
        (count > 0).then(|| (self.generator.request(count), self.started + Duration::from_secs_f64(after)))
    }
}

async fn sender(client: Client, source: Arc<Mutex<Source>>, sent: Arc<Mutex<Sent>>) -> Result<()> {
    loop {
        let Some((made, due)) = source.lock().next() else { return Ok(()) };
        tokio::time::sleep_until(due).await;
        let latency = deliver(&client, &made, &sent, due).await?;
        let mut sent = sent.lock();
        sent.latencies.push(latency);
        sent.acknowledged.extend(made.ids);
        sent.health.extend(made.health);
    }
}

/// Answers how long it took from when it was due, with all retries: what waits for its turn to be sent waits too.
async fn deliver(client: &Client, made: &Made, sent: &Mutex<Sent>, due: Instant) -> Result<Duration> {
    let message = client.encode(&made.request)?;
    let give_up = Instant::now() + LAST_RETRY;
    loop {
        match client.send_bytes(message.clone()).await? {
            answer if answer.is_whole() => return Ok(due.elapsed()),
            Answer::Refused(refusal) if refusal.is_retryable() && Instant::now() < give_up => {
                sent.lock().retries += 1;
                tokio::time::sleep(refusal.delay.unwrap_or(BACKOFF)).await;
            }
            other => bail!("not accepted: {other:?}"),
        }
    }
}
