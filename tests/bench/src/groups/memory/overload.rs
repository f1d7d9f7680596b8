//! More is offered than the back end takes: ten times as much, or anything at all to one that does not answer.

use std::time::Duration;

use anyhow::Result;
use harness::client::Protocol;
use harness::sink::Behaviour;
use harness::spans::Profile;

use super::SPANS;
use crate::drive::{self, Ready};
use crate::peer::{Setting, Side, Steps, Work};

/// How long it lasts; memory is read each second.
const TIME: Duration = Duration::from_secs(15);
/// How long a slow sink takes for a request: at four requests of some 1,700 spans at once, it takes 3,400 spans a second. Half of
/// what is offered is sampled away, and the rest is more than ten times that.
const SLOW: Duration = Duration::from_secs(2);
/// What is offered, in spans a second.
const OFFERED: usize = 100_000;

/// What the back end does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// It takes a tenth of what is offered.
    TenTimes,
    /// It takes connections and never answers.
    Stalled,
}

/// One load over one protocol.
#[derive(Debug, Clone, Copy)]
pub struct Pressure {
    pub load: Load,
    pub protocol: Protocol,
}

impl Pressure {
    /// For the table.
    pub fn name(self) -> String {
        let load = match self.load {
            Load::TenTimes => "ten times more than the back end takes",
            Load::Stalled => "the same load, and a back end that never answers",
        };
        let protocol = if self.protocol == Protocol::Grpc { "gRPC" } else { "HTTP" };
        format!("{load}, over {protocol}")
    }

    /// Peak, growth, and the share of requests that were refused.
    pub async fn put_on(self, side: Side) -> Result<Vec<f64>> {
        eprintln!("memory, {}: {}", self.name(), side.name());
        let work = Work::over(self.protocol, Steps::Four);
        let sink = Setting::default().sink().await?;
        sink.behave(match self.load {
            Load::TenTimes => Behaviour::Slow(SLOW),
            Load::Stalled => Behaviour::Hang,
        });
        let subject = side.start(work, &sink).await?;
        let clients: Vec<_> = (0..8).map(|_| subject.client(work)).collect();
        let ready = Ready::new(&clients[0], Profile::Medium, SPANS)?;
        let process = subject.id()?;
        let watch = tokio::spawn(async move {
            let mut seen = Vec::new();
            for _ in 0..TIME.as_secs() {
                tokio::time::sleep(Duration::from_secs(1)).await;
                seen.push(harness::memory::of(process).map(|memory| memory.now as f64)?);
            }
            Ok::<_, anyhow::Error>(seen)
        });
        let outcome = drive::at_pace(&clients, &ready, OFFERED, TIME, 256).await?;
        let seen = watch.await??;
        let peak = harness::memory::of(process)?.peak as f64;
        subject.end().await?;
        let growth = seen.last().copied().unwrap_or_default() - seen.get(seen.len() / 3).copied().unwrap_or_default();
        let answered = outcome.latencies.len() as f64 + outcome.refused as f64;
        Ok(vec![peak, growth.max(0.0), outcome.refused as f64 / answered * 100.0])
    }
}
