//! HTTP: size limits, bombs, and senders that are too slow.

use crate::Subject;
use crate::item::{Found, Item, held, item};
use crate::own::{Own, Shape};
use crate::raw::http::{Connection, PROTOBUF, Request};
use crate::raw::pack;
use crate::trace::{self, Ids};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use harness::memory::Peak;
use std::time::Duration;

pub const ITEMS: &[Item] = &[
    item!("H11", Required, "A body over the limit, on the wire or inflated: 413", h11),
    item!(
        "H13",
        Advised,
        "gzip of several members is decoded in full; cut off gzip, bombs and huge windows are refused, with flat memory",
        h13
    ),
    item!(
        "H20",
        Advised,
        "Slow headers and bodies time out; who goes away frees what it sent; 413 is sent without reading the whole body",
        h20
    ),
];

async fn h11(subject: &Subject) -> Result<Found> {
    let over = trace::request_of_size(&Ids::fresh(), subject.limit + 1);
    let packed = Request::export(PROTOBUF, pack::gzip(&over)?).header("content-encoding", "gzip");
    packed.to(&subject.http).await?.expect("one byte over the limit after gzip", &[413])?;
    let largest = trace::request_of_size(&Ids::fresh(), subject.limit);
    Request::export(PROTOBUF, largest).to(&subject.http).await?.expect_full("a body of exactly the limit")?;
    let mut connection = Connection::open(&subject.http).await?;
    connection.send_head(&Request::promising(subject.limit + 1, PROTOBUF, b"")).await?;
    let answer = if let Ok(answer) = connection.answer_soon().await {
        answer
    } else {
        // It wants to see that many bytes.
        drop(connection.write(&over).await);
        connection.answer().await?
    };
    answer.expect("one byte over the limit on the wire", &[413])?;
    held(format!("{} bytes are taken, one more is 413 both ways", subject.limit))
}

async fn h13(subject: &Subject) -> Result<Found> {
    // One of its own, where there is one: what earlier items made it take on does not count.
    let own = subject.another(Shape::default()).await?;
    let address = own.as_ref().map_or(&subject.http, |own| &own.http);
    let (first, second) = (Ids::fresh(), Ids::fresh());
    let start = trace::request(&first);
    let message = Bytes::from([start.clone(), trace::request(&second)].concat());
    let send = async |encoding: &str, body: Bytes| {
        Request::export(PROTOBUF, body).header("content-encoding", encoding).to(address).await
    };
    send("gzip", pack::members(&message, start.len())?).await?.expect_full("gzip of two members")?;
    let whole = pack::gzip(&message)?;
    let bomb = subject.limit * 16;
    let mut seen = Vec::new();
    let before = own.as_ref().map(|own| Peak::begin(own.id()?)).transpose()?;
    for (what, encoding, body) in [
        ("gzip that is cut off", "gzip", whole.slice(..whole.len() - 9)),
        ("a gzip bomb", "gzip", pack::gzip_bomb(bomb)?),
        ("a zstd bomb", "zstd", pack::zstd_bomb(bomb)?),
        ("a zstd window of 2 GiB", "zstd", pack::zstd_of_huge_window(&message)?),
    ] {
        let answer = send(encoding, body).await.context(what)?;
        ensure!((400..500).contains(&answer.status), "{what}: {}", answer.shown());
        seen.push(format!("{what}: {}", answer.status));
    }
    match before {
        Some(before) => {
            // What is refused may be held up to the limit, copied as its buffer grows, and not given back at once: a third of what
            // one bomb holds is more than that, and less than who inflates it would take.
            let (growth, most) = (before.growth()?, bomb as u64 / 3);
            ensure!(growth <= most, "bombs of {} MiB made it grow by {} MiB", bomb >> 20, growth >> 20);
            seen.push(format!("memory grew by {} MiB for bombs of {} MiB", growth >> 20, bomb >> 20));
        }
        None => seen.push("its memory cannot be seen".to_owned()),
    }
    if let Some(own) = own {
        Subject::arrived(&own.sink, &first).await?;
        Subject::arrived(&own.sink, &second).await?;
        seen.push("both members' spans arrived".to_owned());
        own.stop().await?;
    }
    held(seen.join("; "))
}

async fn h20(subject: &Subject) -> Result<Found> {
    let mut connection = Connection::open(&subject.http).await?;
    connection.send_head(&Request::promising(subject.limit + 1, PROTOBUF, b"")).await?;
    let answer = connection.answer_soon().await.context("a length over the limit, no body sent")?;
    answer.expect("a length over the limit, no body sent", &[413])?;
    // A server of the suite is told to lose patience sooner.
    let hasty = subject.another(Shape { patience: Some(Duration::from_millis(300)), ..Shape::default() }).await?;
    let address = hasty.as_ref().map_or(&subject.http, |own| &own.http);
    let seen = [slow_heads(address).await?, slow_bodies(address).await?];
    if let Some(own) = hasty {
        own.stop().await?;
    }
    // With its usual patience: what it forgets it forgets because the sender has gone, and not because time is up.
    let usual = subject.another(Shape::default()).await?;
    let address = usual.as_ref().map_or(&subject.http, |own| &own.http);
    let left = gone_in_mid_body(address, subject.limit, usual.as_ref().map(Own::id).transpose()?).await?;
    if let Some(own) = usual {
        own.stop().await?;
    }
    held(format!("413 at once; {}; {left}", seen.join("; ")))
}

/// Heads that stop anywhere: in the first line, behind it, in a header, before the empty line.
async fn slow_heads(address: &str) -> Result<String> {
    for head in
        ["P", "POST /v1/traces", "POST /v1/traces HTTP/1.1\r\nhost: conf", "POST /v1/traces HTTP/1.1\r\nhost: x\r\n"]
    {
        let mut slow = Connection::open(address).await?;
        slow.write(head.as_bytes()).await?;
        slow.closed().await;
    }
    Ok("slow heads: the connection is closed".to_owned())
}

/// Bodies that stop: after a length was promised, and in the middle of a chunk.
async fn slow_bodies(address: &str) -> Result<String> {
    let chunked = Request::unfinished("transfer-encoding: chunked", PROTOBUF);
    let mut seen = Vec::new();
    for (what, head, start) in [
        ("a slow body", Request::promising(1000, PROTOBUF, b""), &b"\x0a"[..]),
        ("a slow chunk", chunked, &b"7\r\n\x0a"[..]),
    ] {
        let mut slow = Connection::open(address).await?;
        slow.send_head(&head).await?;
        slow.write(start).await?;
        seen.push(match slow.answer().await {
            Ok(answer) => {
                ensure!(matches!(answer.status, 400 | 408 | 503), "{what}: {}", answer.shown());
                format!("{what}: {}", answer.status)
            }
            Err(_) => format!("{what}: the connection is closed"),
        });
    }
    Ok(seen.join("; "))
}

/// Senders that go away in mid-body, one after the other, each with the largest request: after each of them there is room, and their
/// bytes do not add up.
async fn gone_in_mid_body(address: &str, limit: usize, process: Option<u32>) -> Result<String> {
    const SENDERS: usize = 24;
    let part = vec![0x0a; limit / 4];
    let peak = process.map(Peak::begin).transpose()?;
    for number in 0..SENDERS {
        let mut leaving = Connection::open(address).await?;
        leaving.send_head(&Request::promising(limit, PROTOBUF, b"")).await?;
        leaving.write(&part).await.with_context(|| format!("sender {number} in mid-body"))?;
        drop(leaving);
        let client = harness::Client::new(harness::Protocol::HttpProtobuf, address);
        let taken = async || {
            let answer = client.send_bytes(trace::request(&Ids::fresh())).await.ok()?;
            answer.is_whole().then_some(())
        };
        harness::wait::until("room after a sender that went away", taken).await?;
    }
    let Some(peak) = peak else {
        return Ok(format!("{SENDERS} senders went away in mid-body, and there was room each time"));
    };
    let (growth, sent) = (peak.growth()?, (SENDERS * part.len()) as u64);
    ensure!(
        growth <= sent / 2,
        "{} MiB that were not to come to an end made it grow by {} MiB",
        sent >> 20,
        growth >> 20
    );
    Ok(format!("{} MiB of senders that went away made it grow by {} MiB", sent >> 20, growth >> 20))
}
