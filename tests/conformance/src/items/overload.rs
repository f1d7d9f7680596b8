//! Both protocols: what is said when there is no room, or the back end is in trouble.

use crate::Subject;
use crate::item::{Found, Item, held, item, not_applicable};
use crate::own::{Own, Shape};
use crate::raw::grpc::{self, Call, INTERNAL, INVALID_ARGUMENT, OK, RESOURCE_EXHAUSTED, UNAVAILABLE};
use crate::raw::http::{self, PROTOBUF, Request};
use crate::trace::{self, Ids};
use anyhow::{Context as _, Result, bail, ensure};
use harness::Behaviour;
use std::time::Duration;

pub const ITEMS: &[Item] = &[
    item!("G7", Advised, "Under overload: UNAVAILABLE; RetryInfo, if there, is above zero", g7),
    item!("G8", Advised, "RESOURCE_EXHAUSTED that means \"retry\" always carries RetryInfo", g8),
    item!(
        "G9",
        Advised,
        "Trouble downstream: UNAVAILABLE if it passes, INVALID_ARGUMENT or INTERNAL if not; never UNKNOWN",
        g9
    ),
    item!("H14", Advised, "Overload: 429 or 503, with Retry-After above zero if any", h14),
    item!("H15", Advised, "What may be sent again is 429, 502, 503 or 504; a passing failure is no 500", h15),
];

const WHY: &str = "it takes overload, which the suite makes only with a server of its own";
/// More than fills the queue of a server that is made to be full.
const TRIES: usize = 200;
const SIZE: usize = 16 << 10;

/// A server whose back end has stopped answering and whose queue is small.
async fn stuck(subject: &Subject) -> Result<Option<Own>> {
    let own = subject.another(Shape { queue: Some(1 << 20), ..Shape::default() }).await?;
    if let Some(own) = &own {
        own.sink.behave(Behaviour::Hang);
    }
    Ok(own)
}

/// Sends until something is refused.
async fn refused_by_grpc(own: &Own) -> Result<grpc::Answer> {
    let connection = grpc::Connection::open(&own.grpc).await?;
    for _ in 0..TRIES {
        let answer = connection.call(Call::export(&trace::request_of_size(&Ids::fresh(), SIZE))?).await?;
        if answer.code != Some(OK) {
            return Ok(answer);
        }
    }
    bail!("{TRIES} requests of {SIZE} bytes were taken, into a queue of 1 MiB");
}

async fn refused_by_http(own: &Own) -> Result<http::Answer> {
    let mut connection = http::Connection::open(&own.http).await?;
    for _ in 0..TRIES {
        connection.send(&Request::export(PROTOBUF, trace::request_of_size(&Ids::fresh(), SIZE))).await?;
        let answer = connection.answer().await?;
        if answer.status != 200 {
            return Ok(answer);
        }
    }
    bail!("{TRIES} requests of {SIZE} bytes were taken, into a queue of 1 MiB");
}

fn delay(answer: &grpc::Answer) -> Result<Option<Duration>> {
    Ok(answer.status()?.map(|status| status.retry_delay()).transpose()?.flatten())
}

async fn g7(subject: &Subject) -> Result<Found> {
    let Some(own) = stuck(subject).await? else { return not_applicable(WHY) };
    let answer = refused_by_grpc(&own).await?.expect("a full queue", &[UNAVAILABLE])?;
    let delay = delay(&answer)?;
    ensure!(delay.is_none_or(|delay| delay > Duration::ZERO), "RetryInfo of {delay:?}");
    own.stop().await?;
    held(format!("UNAVAILABLE, RetryInfo {delay:?}"))
}

async fn g8(subject: &Subject) -> Result<Found> {
    let Some(own) = stuck(subject).await? else { return not_applicable(WHY) };
    let answer = refused_by_grpc(&own).await?;
    let delay = delay(&answer)?;
    own.stop().await?;
    if answer.code == Some(RESOURCE_EXHAUSTED) {
        ensure!(delay.is_some(), "RESOURCE_EXHAUSTED without RetryInfo: {}", answer.shown());
        return held(format!("RESOURCE_EXHAUSTED with RetryInfo {delay:?}"));
    }
    held(format!("overload is code {}, RESOURCE_EXHAUSTED is for what is too large", answer.code.unwrap_or(-1)))
}

async fn g9(subject: &Subject) -> Result<Found> {
    let Some(own) = subject.own() else { return not_applicable(WHY) };
    let connection = grpc::Connection::open(&subject.grpc).await?;
    let mut seen = Vec::new();
    for (what, behaviour, codes) in [
        ("a back end that is away", Behaviour::Unavailable(None), [OK, UNAVAILABLE, UNAVAILABLE]),
        ("a back end that refuses for good", Behaviour::Invalid, [OK, INVALID_ARGUMENT, INTERNAL]),
    ] {
        own.sink.behave(behaviour);
        let answer = connection.call(Call::export(&trace::request(&Ids::fresh()))?).await;
        own.sink.behave(Behaviour::Accept);
        let code = answer?.expect(what, &codes)?.code;
        seen.push(format!("{what}: {}", if code == Some(OK) { "taken into the queue" } else { "refused" }));
    }
    held(seen.join("; "))
}

async fn h14(subject: &Subject) -> Result<Found> {
    let Some(own) = stuck(subject).await? else { return not_applicable(WHY) };
    let answer = refused_by_http(&own).await?.expect("a full queue", &[429, 503])?;
    own.stop().await?;
    let after = answer.header("retry-after").map(str::parse::<u64>).transpose().context("Retry-After")?;
    ensure!(after != Some(0), "Retry-After: 0");
    held(format!("{}, Retry-After {after:?} s", answer.status))
}

async fn h15(subject: &Subject) -> Result<Found> {
    let shape = Shape { queue: Some(1 << 20), retry: Some(Duration::from_millis(50)), ..Shape::default() };
    let Some(own) = subject.another(shape).await? else { return not_applicable(WHY) };
    let mut seen = Vec::new();
    for (what, behaviour) in [
        ("a back end that hangs", Behaviour::Hang),
        ("one that is away for a while", Behaviour::Unavailable(None)),
        ("one that breaks connections", Behaviour::Break),
    ] {
        own.sink.behave(behaviour);
        let answer = refused_by_http(&own).await.context(what)?.expect(what, &[429, 502, 503, 504])?;
        // The same request once there is room again: it was a passing failure indeed.
        own.sink.behave(Behaviour::Accept);
        taken_again(&own.http).await.context(what)?;
        seen.push(format!("{what}: {}", answer.status));
    }
    own.stop().await?;
    let room = no_room_for_bodies(&subject.http, subject.limit).await?;
    held(format!("{}, each taken once there was room; bodies beyond what is held at once: {room}", seen.join(", ")))
}

async fn taken_again(address: &str) -> Result<()> {
    let client = harness::Client::new(harness::Protocol::HttpProtobuf, address);
    let request = trace::request(&Ids::fresh());
    let taken = async || client.send_bytes(request.clone()).await.ok().filter(harness::Answer::is_whole);
    harness::wait::until("a request to be taken again", taken).await.map(drop)
}

/// Bodies under way for more than a server may want to hold at once: what it says to one more.
async fn no_room_for_bodies(address: &str, limit: usize) -> Result<String> {
    const SENDERS: usize = 4;
    let mut under_way = Vec::new();
    for _ in 0..SENDERS {
        let mut connection = http::Connection::open(address).await?;
        connection.send_head(&Request::promising(limit, PROTOBUF, b"")).await?;
        under_way.push(connection);
    }
    let answer = Request::export(PROTOBUF, trace::request(&Ids::fresh())).to(address).await?;
    let answer = answer.expect("one more body", &[200, 429, 502, 503, 504])?;
    drop(under_way);
    taken_again(address).await?;
    Ok(if answer.status == 200 { "taken as well".to_owned() } else { answer.status.to_string() })
}
