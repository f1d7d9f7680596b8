//! How long a request takes at 20,000 spans a second, beside a server that only answers.
//!
//! The proxy has one core, and generator and sink the other: where they share both, what is measured is who waits for whom.

use std::time::Duration;

use anyhow::Result;
use harness::client::{Client, Protocol};
use harness::sink::{Keep, Sink};
use harness::spans::Profile;

use crate::Arguments;
use crate::cores::{self, Cores};
use crate::drive::{self, Ready};
use crate::measure::interleaved;
use crate::peer::{Side, Steps, Work};
use crate::report::{Table, must};

const RATE: usize = 20_000;
const SPANS: usize = 100;
const WARM_UP: Duration = Duration::from_secs(3);
const TIME: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy)]
enum Server {
    Side(Side),
    /// The sink itself: what the machine and the client cost.
    OnlyAnswers,
}

/// Both sides and the server that only answers.
pub fn run(arguments: &Arguments) -> Result<Table> {
    cores::apart(async |cores| pinned(cores, arguments).await)
}

async fn pinned(cores: Cores, arguments: &Arguments) -> Result<Table> {
    let servers = [Server::Side(Side::Tracemill), Server::Side(Side::Collector), Server::OnlyAnswers];
    let figures = interleaved(&servers, arguments.runs, async |server| {
        eprintln!("latency: {server:?}");
        let outcome = once(cores, server).await?;
        anyhow::ensure!(outcome.refused == 0, "{server:?} refused {} requests", outcome.refused);
        Ok([0.5, 0.99, 0.999].map(|share| outcome.latency(share).as_secs_f64() * 1e3).to_vec())
    })
    .await?;
    let title = format!("Latency of a request at {RATE} spans/s ({SPANS} spans a request, gRPC, four steps), ms");
    let mut table = Table::new(title, &["server", "p50", "p99", "p99.9", "p99 of the Collector's", "must (aim)"]);
    let peer = figures[1][1].median();
    for (server, figures) in servers.iter().zip(&figures) {
        let (name, goal) = match server {
            Server::Side(Side::Tracemill) => ("tracemill", "1/2 (1/6)"),
            Server::Side(Side::Collector) => ("Collector", "-"),
            Server::OnlyAnswers => ("a server that only answers", "-"),
        };
        let medians: Vec<f64> = figures.iter().map(crate::measure::Figures::median).collect();
        table.row([
            name.to_owned(),
            format!("{:.2}", medians[0]),
            format!("{:.2}", medians[1]),
            format!("{:.2}", medians[2]),
            format!("1/{:.1}", peer / medians[1]),
            if goal == "-" { goal.to_owned() } else { must(goal, peer / medians[1] >= 2.0) },
        ]);
    }
    table.note("From when a request was due to its answer. The proxy has one core, generator and sink share the other; the server that only answers is the sink.");
    Ok(table)
}

async fn once(cores: Cores, server: Server) -> Result<drive::Outcome> {
    let work = Work::grpc(Steps::Four);
    let sink = Sink::keeping(Keep::Counts).await?;
    let subject = match server {
        Server::Side(side) => Some(cores.start(side.start(work, &sink)).await?),
        Server::OnlyAnswers => None,
    };
    let client = || match &subject {
        Some(subject) => subject.client(work),
        None => Client::new(Protocol::Grpc, &sink.address().to_string()),
    };
    let clients = [client(), client()];
    let ready = Ready::new(&clients[0], Profile::Medium, SPANS)?;
    drive::at_pace(&clients, &ready, RATE, WARM_UP, 200).await?;
    let outcome = drive::at_pace(&clients, &ready, RATE, TIME, 200).await?;
    if let Some(subject) = subject {
        subject.end().await?;
    }
    Ok(outcome)
}
