//! The client side: what its requests are like, and what it makes of answers.

use super::client::{SILENCE, WHY, are_given_up, attempts, send_in, start};
use crate::Subject;
use crate::item::{Found, Item, held, item, not_applicable};
use crate::own::{Over, Own, Shape};
use crate::raw::grpc::{Call, Connection};
use crate::trace::{self, Ids};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use harness::{Behaviour, Compression, wait};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use std::time::{Duration, Instant};

pub const ITEMS: &[Item] = &[
    item!("E5", Required, "A partial success is never sent again, and is logged", e5),
    item!("E6", Required, "A request over the limit is split, and what is too large alone is not sent but told of", e6),
    item!(
        "E7",
        Required,
        "A response of more than 4 MiB, after decompression, is an error that is not tried again",
        e7
    ),
    item!("E8", Advised, "A destination that has stopped delays no other", e8),
    item!("E9", Advised, "User-Agent names the exporter, its language and its version", e9),
    item!("E10", Required, "/v1/traces is appended to a base endpoint, and not to a signal's own", e10),
];

const BOTH: [(&str, Over); 2] = [("gRPC", Over::Grpc), ("HTTP", Over::Http(""))];

async fn e5(subject: &Subject) -> Result<Found> {
    for (name, over) in BOTH {
        let Some(own) = start(subject, over).await? else { return not_applicable(WHY) };
        are_given_up(&own, vec![(format!("partial success over {name}"), Behaviour::Partial(1))]).await?;
        let logged = async || own.log().contains("told to reject").then_some(());
        wait::until("the back end's words in the log", logged).await.context(name)?;
        own.stop().await?;
    }
    held("sent once over gRPC and over HTTP, and logged with the back end's words")
}

async fn send(own: &Own, message: &Bytes) -> Result<()> {
    Connection::open(&own.grpc).await?.call(Call::export(message)?).await?.expect_full("a large request")
}

async fn e6(subject: &Subject) -> Result<Found> {
    const LIMIT: usize = 512 << 10;
    let shape = Shape { max_request: Some(LIMIT), ..Shape::default() };
    let Some(own) = subject.another(shape).await? else { return not_applicable(WHY) };
    let large = trace::request_of_size(&Ids::fresh(), 4 * LIMIT);
    let spans = harness::sink::spans(&ExportTraceServiceRequest::decode(large.clone())?).count() as u64;
    send(&own, &large).await?;
    own.sink.wait_for_spans(spans).await?;
    let before = own.log().len();
    let giant = Ids::fresh();
    let filling = trace::bytes(9, trace::attribute("filling", &"a".repeat(LIMIT)));
    send(&own, &trace::request_with(&giant, &filling)).await?;
    wait::until("a word about the span that is too large", async || (own.log().len() > before).then_some(())).await?;
    // Others go on.
    let next = send_in(&own).await?;
    Subject::arrived(&own.sink, &next).await?;
    let largest = own.sink.arrivals(|all| all.attempts.iter().map(|attempt| attempt.bytes).max()).unwrap_or_default();
    own.stop().await?;
    ensure!(largest <= LIMIT, "a request of {largest} bytes was sent, the limit being {LIMIT}");
    held(format!("{spans} spans of four times the limit arrived, in requests of at most {largest} of {LIMIT} bytes"))
}

async fn e7(subject: &Subject) -> Result<Found> {
    const OVER: usize = (4 << 20) + (64 << 10);
    let mut seen = Vec::new();
    for (name, over) in BOTH {
        let Some(own) = start(subject, over).await? else { return not_applicable(WHY) };
        let before = own.log().len();
        let plain = (format!("a response of {OVER} bytes over {name}"), Behaviour::Verbose(OVER, Compression::None));
        are_given_up(&own, vec![plain]).await?;
        wait::until("a word of it in the log", async || (own.log().len() > before).then_some(()))
            .await
            .context(name)?;
        seen.push(format!("{name}: plain"));
        // Only who says so must be answered compressed.
        let offers = own.sink.arrivals(|all| {
            let headers = all.attempts.first().map(|attempt| attempt.headers.clone()).unwrap_or_default();
            ["accept-encoding", "grpc-accept-encoding"]
                .iter()
                .filter_map(|name| headers.get(*name)?.to_str().ok())
                .any(|value| value.contains("gzip"))
        });
        if offers {
            let packed = (format!("the same gzipped over {name}"), Behaviour::Verbose(OVER, Compression::Gzip));
            are_given_up(&own, vec![packed]).await?;
            seen.push(format!("{name}: gzipped"));
        }
        own.stop().await?;
    }
    held(format!("sent once: {}", seen.join(", ")))
}

async fn e8(subject: &Subject) -> Result<Found> {
    const SPANS: usize = 20;
    const DELAYED: Duration = Duration::from_secs(2);
    let shape = Shape { second: true, retry: Some(SILENCE), ..Shape::default() };
    let Some(own) = subject.another(shape).await? else { return not_applicable(WHY) };
    let second = own.second.as_ref().context("a second sink")?;
    let mut slowest = Duration::ZERO;
    let mut sent = Vec::new();
    for trouble in [Behaviour::Hang, Behaviour::Unavailable(None)] {
        own.sink.behave(trouble);
        for _ in 0..SPANS {
            let started = Instant::now();
            let ids = send_in(&own).await?;
            Subject::arrived(second, &ids).await?;
            slowest = slowest.max(started.elapsed());
            sent.push(ids);
        }
    }
    let early = own.sink.spans();
    own.sink.behave(Behaviour::Accept);
    for ids in &sent {
        Subject::arrived(&own.sink, ids).await.context("at the destination that had stopped")?;
    }
    own.stop().await?;
    ensure!(early == 0, "the first destination was to have stopped");
    ensure!(slowest < DELAYED, "beside a destination that had stopped, a span took {slowest:?}");
    held(format!(
        "{} spans went by within {} ms each, and reached the stopped one later",
        sent.len(),
        slowest.as_millis()
    ))
}

/// The words by which a `User-Agent` tells a language.
const LANGUAGES: [&str; 11] =
    ["rust", "go", "java", "python", "node", "javascript", "js", "dotnet", "ruby", "php", "cpp"];

async fn e9(subject: &Subject) -> Result<Found> {
    let mut agents = Vec::new();
    for (name, over) in BOTH {
        let Some(own) = start(subject, over).await? else { return not_applicable(WHY) };
        let ids = send_in(&own).await?;
        let first = attempts(&own.sink, &ids, 1).await?.remove(0);
        own.stop().await?;
        let agent = first.headers.get("user-agent").with_context(|| format!("{name}: no User-Agent"))?;
        agents.push((name, agent.to_str()?.to_owned()));
    }
    for (name, agent) in &agents {
        let versioned = |word: &str| {
            word.split_once('/').is_some_and(|(_, version)| version.starts_with(|first: char| first.is_ascii_digit()))
        };
        ensure!(agent.split_whitespace().any(versioned), "{name}: no name with a version in {agent:?}");
        let lower = agent.to_lowercase();
        let spoken = lower.split(|each: char| !each.is_alphanumeric()).any(|word| LANGUAGES.contains(&word));
        ensure!(spoken, "{name}: no language in {agent:?}");
    }
    held(agents.iter().map(|(name, agent)| format!("{name}: {agent}")).collect::<Vec<_>>().join("; "))
}

async fn e10(subject: &Subject) -> Result<Found> {
    for (over, wanted) in
        [(Over::Http(""), "/v1/traces"), (Over::Http("/base"), "/base/v1/traces"), (Over::HttpTraces("/in"), "/in")]
    {
        let Some(own) = subject.another(Shape { over, ..Shape::default() }).await? else { return not_applicable(WHY) };
        let ids = send_in(&own).await?;
        let path = attempts(&own.sink, &ids, 1).await?.remove(0).path;
        own.stop().await?;
        ensure!(path == wanted, "{over:?} leads to {path}, not to {wanted}");
    }
    held("no path and /base get /v1/traces, and /in stays as it is")
}
