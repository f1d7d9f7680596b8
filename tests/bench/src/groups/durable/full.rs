//! Full load, a moderate pace, and what generator and sink reach without a proxy between them.

use std::time::Duration;

use anyhow::{Result, ensure};
use harness::client::{Client, Protocol};
use harness::sink::Sink;
use harness::spans::Profile;
use tokio::time::Instant;

use super::{CONNECTIONS, SPANS, UNDER_WAY, folder, setting, work};
use crate::cores::{Cores, Watch};
use crate::drive::{self, Ready};
use crate::peer::{Setting, Side};

/// Which figure is which, of [`flat_out`].
pub const TAKEN: usize = 0;
pub const DELIVERED: usize = 1;
pub const PROXY: usize = 2;
pub const BENCH: usize = 3;
pub const LIMITED: usize = 4;

/// The moderate pace, in spans a second, and spans of a request then.
pub const RATE: usize = 5_000;
pub const PACED: usize = 100;

const WARM_UP: Duration = Duration::from_secs(2);
const TIME: Duration = Duration::from_secs(10);
/// More than comes in meanwhile.
const SIZE: u64 = 16 << 30;
/// How long nothing may arrive before something is wrong.
const STILL: Duration = Duration::from_mins(1);

/// Spans per second from the generator straight to the sink.
pub async fn ceiling(cores: Cores) -> Result<Vec<f64>> {
    eprintln!("durable: generator and sink alone");
    let sink = Setting::default().sink().await?;
    let clients = [(); CONNECTIONS].map(|()| Client::new(Protocol::Grpc, &sink.address().to_string()));
    let ready = Ready::new(&clients[0], Profile::Medium, SPANS)?;
    drive::for_a_while(&clients, &ready, WARM_UP / 2, UNDER_WAY).await?;
    let watch = Watch::begin(cores)?;
    let outcome = drive::for_a_while(&clients, &ready, TIME / 2, UNDER_WAY).await?;
    Ok(vec![outcome.accepted as f64 / watch.seconds(), watch.busy()?.bench])
}

/// What is taken, and delivered, at full load.
pub async fn flat_out(cores: Cores, side: Side) -> Result<Vec<f64>> {
    eprintln!("durable: {} at full load", side.name());
    let folder = folder()?;
    let setting = setting(&folder, SIZE);
    let sink = setting.sink().await?;
    let subject = cores.start(side.start_with(work(), &setting, &sink)).await?;
    cores.check(subject.id()?)?;
    let clients = [(); CONNECTIONS].map(|()| subject.client(work()));
    let ready = Ready::new(&clients[0], Profile::Medium, SPANS)?;
    let warm = drive::for_a_while(&clients, &ready, WARM_UP, UNDER_WAY).await?;
    delivered(&sink, warm.accepted).await?;
    let watch = Watch::begin(cores)?;
    let outcome = drive::for_a_while(&clients, &ready, TIME, UNDER_WAY).await?;
    let (taken, busy) = (outcome.accepted as f64 / watch.seconds(), watch.busy()?);
    delivered(&sink, warm.accepted + outcome.accepted).await?;
    let delivered = outcome.accepted as f64 / watch.seconds();
    subject.end().await?;
    Ok(vec![taken, delivered, busy.proxy, busy.bench, f64::from(busy.is_bench_exhausted())])
}

/// Latency of a request in milliseconds: p50 and p99.
pub async fn at_pace(cores: Cores, side: Side) -> Result<Vec<f64>> {
    eprintln!("durable: {} at {RATE} spans/s", side.name());
    let folder = folder()?;
    let setting = setting(&folder, SIZE);
    let sink = setting.sink().await?;
    let subject = cores.start(side.start_with(work(), &setting, &sink)).await?;
    cores.check(subject.id()?)?;
    let clients = [(); CONNECTIONS].map(|()| subject.client(work()));
    let ready = Ready::new(&clients[0], Profile::Medium, PACED)?;
    drive::at_pace(&clients, &ready, RATE, WARM_UP, 200).await?;
    let outcome = drive::at_pace(&clients, &ready, RATE, TIME, 200).await?;
    ensure!(outcome.refused == 0, "{} refused {} requests", side.name(), outcome.refused);
    subject.end().await?;
    Ok([0.5, 0.99].map(|share| outcome.latency(share).as_secs_f64() * 1e3).to_vec())
}

/// Waits until so many spans have arrived.
pub async fn delivered(sink: &Sink, spans: u64) -> Result<()> {
    let mut last = (0, Instant::now());
    while sink.spans() < spans {
        if sink.spans() > last.0 {
            last = (sink.spans(), Instant::now());
        }
        ensure!(last.1.elapsed() < STILL, "{} of {spans} spans have arrived, and no more do", sink.spans());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
