//! Load: requests that are made ready before the clock starts, as fast as they are taken or at a set pace.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use harness::client::{Answer, Client};
use harness::load;
use harness::spans::{Generator, Profile};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::pace;

/// The seed of all benches: both sides see the same spans.
const SEED: u64 = 1;
/// How many different requests there are; they are sent in turn.
const DIFFERENT: usize = 40;
/// When what was refused is sent again: sooner than the proxies ask, so that they are never idle.
const AGAIN: Duration = Duration::from_millis(20);
/// When it is by senders that do as they are asked, where they are asked nothing.
const PATIENT: Duration = Duration::from_secs(1);

/// Requests that are ready to be sent.
#[derive(Debug, Clone)]
pub struct Ready {
    /// Bodies as the client sends them.
    bodies: Arc<Vec<Bytes>>,
    /// Spans in each.
    pub spans: usize,
    /// Of all of them, before compression.
    bytes: usize,
}

impl Ready {
    /// Requests of `spans` spans each.
    pub fn new(client: &Client, profile: Profile, spans: usize) -> Result<Self> {
        let mut generator = Generator::new(profile, SEED);
        let messages: Vec<Bytes> =
            (0..DIFFERENT).map(|_| client.encode(&generator.request(spans).request)).collect::<Result<_>>()?;
        let bytes = messages.iter().map(Bytes::len).sum();
        let bodies = messages.iter().map(|message| client.prepare(message)).collect::<Result<_>>()?;
        Ok(Self { bodies: Arc::new(bodies), spans, bytes })
    }

    /// The bytes of a span, on average, uncompressed.
    pub fn bytes_per_span(&self) -> f64 {
        self.bytes as f64 / (self.bodies.len() * self.spans) as f64
    }

    fn body(&self, number: usize) -> Bytes {
        self.bodies[number % self.bodies.len()].clone()
    }
}

/// Where the requests come from that are sent at a set pace.
pub trait Source {
    /// Spans in each of them.
    fn spans(&self) -> usize;

    /// The next one's body.
    fn next(&self, number: usize) -> Bytes;
}

impl Source for Ready {
    fn spans(&self) -> usize {
        self.spans
    }

    fn next(&self, number: usize) -> Bytes {
        self.body(number)
    }
}

/// What became of what was sent.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Spans in requests that were accepted.
    pub accepted: u64,
    /// Requests that were refused, retryably.
    pub refused: u64,
    /// Requests that were due at a set pace while too many were under way, and so were never sent.
    pub left_out: u64,
    /// How long each accepted request took: from when it was due, at a set pace.
    pub latencies: Vec<Duration>,
}

impl Outcome {
    /// The latency that this share of the requests does not exceed.
    pub fn latency(&self, share: f64) -> Duration {
        load::quantile(&self.latencies, share)
    }
}

/// Sends `requests` requests over `clients`, `under_way` at once on each, as fast as they are answered. What is refused is sent
/// again a little later, until it is taken.
pub async fn flat_out(clients: &[Client], ready: &Ready, requests: usize, under_way: usize) -> Result<Outcome> {
    while_wanted(clients, ready, under_way, move |number| number < requests).await
}

/// The same for a while instead of a number of requests. What has begun then is waited for.
pub async fn for_a_while(clients: &[Client], ready: &Ready, time: Duration, under_way: usize) -> Result<Outcome> {
    let end = Instant::now() + time;
    while_wanted(clients, ready, under_way, move |_| Instant::now() < end).await
}

/// Sends one request on each client, all at the same time. What is refused is sent again when the proxy asks for it, as an SDK does.
pub async fn one_each(clients: &[Client], ready: &Ready) -> Result<Outcome> {
    let mut senders = JoinSet::new();
    for (number, client) in clients.iter().enumerate() {
        let (client, body) = (client.clone(), ready.body(number));
        senders.spawn(async move { insist(&client, &body, Some(number)).await });
    }
    let mut outcome = Outcome::default();
    while let Some(ended) = senders.join_next().await {
        let (latency, refused) = ended??;
        outcome.latencies.push(latency);
        outcome.refused += refused;
    }
    outcome.accepted = (outcome.latencies.len() * ready.spans) as u64;
    Ok(outcome)
}

async fn while_wanted(
    clients: &[Client],
    ready: &Ready,
    under_way: usize,
    is_wanted: impl Fn(usize) -> bool + Copy + Send + 'static,
) -> Result<Outcome> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut senders = JoinSet::new();
    for client in clients {
        for _ in 0..under_way {
            let (client, ready, next) = (client.clone(), ready.clone(), next.clone());
            senders.spawn(async move {
                let mut outcome = Outcome::default();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if !is_wanted(number) {
                        return Ok::<_, anyhow::Error>(outcome);
                    }
                    let (latency, refused) = insist(&client, &ready.body(number), None).await?;
                    outcome.latencies.push(latency);
                    outcome.refused += refused;
                }
            });
        }
    }
    let mut outcome = Outcome::default();
    while let Some(ended) = senders.join_next().await {
        let of_one = ended??;
        outcome.latencies.extend(of_one.latencies);
        outcome.refused += of_one.refused;
    }
    outcome.accepted = (outcome.latencies.len() * ready.spans) as u64;
    Ok(outcome)
}

/// Sends until it is taken. Answers how long the last attempt took, and how many there were before it. Whoever has a number is one
/// of many, and patient.
async fn insist(client: &Client, body: &Bytes, patient: Option<usize>) -> Result<(Duration, u64)> {
    let mut refused = 0;
    loop {
        let started = Instant::now();
        match client.send_prepared(body.clone()).await? {
            answer if answer.is_whole() => return Ok((started.elapsed(), refused)),
            Answer::Refused(refusal) if refusal.is_retryable() => {
                refused += 1;
                let pause = patient.map_or(AGAIN, |number| {
                    // Up to twice as long: senders that come back do not come all at once.
                    refusal.delay.unwrap_or(PATIENT).mul_f64(1.0 + (number % 64) as f64 / 64.0)
                });
                tokio::time::sleep(pause).await;
            }
            other => bail!("not accepted: {other:?}"),
        }
    }
}

/// Sends at `rate` spans a second for `time`, whether answers come or not (at most `under_way` at once); what is refused is not
/// sent again. Latencies count from when a request was due.
pub async fn at_pace(
    clients: &[Client],
    source: &impl Source,
    rate: usize,
    time: Duration,
    under_way: usize,
) -> Result<Outcome> {
    let gap = Duration::from_secs_f64(source.spans() as f64 / rate as f64);
    let mut pace = pace::start(gap, time)?;
    let room = Arc::new(tokio::sync::Semaphore::new(under_way));
    let mut calls = JoinSet::new();
    let mut outcome = Outcome::default();
    let count = |outcome: &mut Outcome, (answer, took): (Answer, Duration)| match answer {
        answer if answer.is_whole() => {
            outcome.latencies.push(took);
            Ok(())
        }
        Answer::Refused(refusal) if refusal.is_retryable() => {
            outcome.refused += 1;
            Ok(())
        }
        other => bail!("not accepted: {other:?}"),
    };
    let mut number = 0;
    while let Some(due) = pace.recv().await {
        number += 1;
        let Ok(permit) = room.clone().try_acquire_owned() else {
            outcome.left_out += 1;
            continue;
        };
        let client = clients[number % clients.len()].clone();
        let body = source.next(number);
        calls.spawn(async move {
            let answer = client.send_prepared(body).await;
            drop(permit);
            answer.map(|answer| (answer, due.elapsed()))
        });
        while let Some(ended) = calls.try_join_next() {
            count(&mut outcome, ended??)?;
        }
    }
    while let Some(ended) = calls.join_next().await {
        count(&mut outcome, ended??)?;
    }
    outcome.accepted = (outcome.latencies.len() * source.spans()) as u64;
    Ok(outcome)
}
