//! Thousands of connections that are all open at the same time, each with requests of its own.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context as _, Result, ensure};
use harness::client::{Client, Protocol};
use harness::spans::Profile;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::drive::{self, Ready};
use crate::peer::{Setting, Side, Steps, Work};

/// Of each protocol.
const CONNECTIONS: usize = 4_000;
/// They come from so many addresses: to tracemill an address is a sender, and none gets more than twice what is left, which at
/// 4,000 of its 4,096 connections is not much.
const SENDERS: usize = 64;
/// A small service exports so many at once.
const SPANS: usize = 32;
/// How often all of them send.
const ROUNDS: usize = 9;
/// For connections on this side, and for all else that is open.
const FILES: u64 = 2 * CONNECTIONS as u64 + 1_000;

/// For the table.
pub fn name() -> String {
    format!(
        "{CONNECTIONS} connections over gRPC and {CONNECTIONS} over HTTP, {SPANS} spans from each, {ROUNDS} times, all at once"
    )
}

/// Peak and growth.
pub async fn run(side: Side) -> Result<Vec<f64>> {
    eprintln!("memory with {CONNECTIONS} connections of each protocol: {}", side.name());
    raise_limit()?;
    let grpc = Work::grpc(Steps::Four);
    let sink = Setting::default().sink().await?;
    let mut subject = side.start(grpc, &sink).await?;
    let mut clients = Vec::with_capacity(2 * CONNECTIONS);
    let mut ready = Vec::new();
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let of_one = (0..CONNECTIONS).map(|i| {
            let from = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2 + (i % SENDERS) as u8));
            Client::from(protocol, subject.address(protocol), from)
        });
        let of_one: Vec<Client> = of_one.collect();
        ready.push(Ready::new(&of_one[0], Profile::Medium, SPANS)?);
        clients.push(of_one);
    }
    let process = subject.id()?;
    let mut seen = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let both = [0, 1].map(|i| drive::one_each(&clients[i], &ready[i]));
        let [grpc, http] = both;
        let answers = tokio::try_join!(grpc, http);
        let log = || subject.proxy().map(|proxy| proxy.log()).unwrap_or_default();
        let (grpc, http) = answers.with_context(log)?;
        ensure!(grpc.accepted + http.accepted == (2 * CONNECTIONS * SPANS) as u64, "not all were taken");
        seen.push(harness::memory::of(process)?.now as f64);
    }
    let peak = harness::memory::of(process)?.peak as f64;
    let open = std::fs::read_dir(format!("/proc/{process}/fd"))?.count();
    ensure!(open >= 2 * CONNECTIONS, "only {open} files are open: not all connections have lasted");
    subject.end().await?;
    Ok(vec![peak, (seen[ROUNDS - 1] - seen[ROUNDS / 3]).max(0.0)])
}

/// Each connection is an open file, here and in the proxy, which inherits the limit.
fn raise_limit() -> Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    ensure!(hard >= FILES, "{FILES} open files are needed, and the limit is {hard}");
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(FILES), hard).context("raising the limit of open files")
}
