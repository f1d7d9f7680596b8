//! gRPC: what is taken, and the words of what is not.

use crate::Subject;
use crate::item::{Found, Item, held, item};
use crate::raw::grpc::{Call, Connection, INTERNAL, INVALID_ARGUMENT, OK, UNIMPLEMENTED, framed};
use crate::raw::pack;
use crate::trace::{self, Ids};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use harness::wire::{self, Compression};

pub const ITEMS: &[Item] = &[
    item!("G1", Required, "A valid unary Export answers OK; partial_success is unset, so the message has 0 bytes", g1),
    item!("G2", Required, "identity and gzip are taken; a plain message on a call that declares gzip too", g2),
    item!("G5", Advised, "An empty request succeeds: no bytes, or ResourceSpans without spans", g5),
    item!("G6", Advised, "Undecodable protobuf answers INVALID_ARGUMENT, never a retryable code", g6),
    item!(
        "G13",
        Required,
        "Unknown grpc-encoding: UNIMPLEMENTED with grpc-accept-encoding; a flag without one: INTERNAL",
        g13
    ),
    item!(
        "G15",
        Required,
        "Unknown method: UNIMPLEMENTED; application/grpc(+proto) are taken, other types get HTTP 415",
        g15
    ),
];

async fn g1(subject: &Subject) -> Result<Found> {
    let connection = Connection::open(&subject.grpc).await?;
    let answer = connection.call(Call::export(&trace::request(&Ids::fresh()))?).await?.expect("a request", &[OK])?;
    let message = answer.message()?;
    ensure!(message.is_empty(), "OK with a message of {} bytes: {message:?}", message.len());
    held("OK with a message of 0 bytes")
}

async fn g2(subject: &Subject) -> Result<Found> {
    let connection = Connection::open(&subject.grpc).await?;
    let message = trace::request(&Ids::fresh());
    let identity = Call::export(&message)?.header("grpc-encoding", "identity");
    connection.call(identity).await?.expect_full("identity")?;
    connection.call(Call::packed("gzip", &pack::gzip(&message)?)?).await?.expect_full("gzip")?;
    let plain = Call::export(&message)?.header("grpc-encoding", "gzip");
    connection.call(plain).await?.expect_full("a plain message where gzip is declared")?;
    let zstd = connection.call(Call::packed("zstd", &Compression::Zstd.pack(&message)?)?).await?;
    let zstd = if zstd.code == Some(0) { "taken" } else { "not offered" };
    held(format!("identity, gzip, plain under gzip; zstd is {zstd}"))
}

async fn g5(subject: &Subject) -> Result<Found> {
    let connection = Connection::open(&subject.grpc).await?;
    for (what, message) in empty() {
        connection.call(Call::export(&message)?).await?.expect_full(what)?;
    }
    held("all of them OK")
}

/// Requests without a span.
fn empty() -> [(&'static str, Bytes); 4] {
    let scope = trace::scope_spans("conformance", &[]);
    [
        ("no bytes", Bytes::new()),
        ("an empty ResourceSpans", trace::bytes(1, []).into()),
        ("a resource without scopes", trace::request_of(&[trace::resource_spans("conformance", &[])])),
        ("a scope without spans", trace::request_of(&[trace::resource_spans("conformance", &[scope])])),
    ]
}

async fn g6(subject: &Subject) -> Result<Found> {
    let connection = Connection::open(&subject.grpc).await?;
    for (what, message) in broken() {
        connection.call(Call::export(&message)?).await?.expect(what, &[INVALID_ARGUMENT])?;
    }
    held(format!("INVALID_ARGUMENT for each of {} kinds", broken().len()))
}

/// What is no protobuf, or not that of a request.
fn broken() -> [(&'static str, Bytes); 5] {
    let whole = trace::request(&Ids::fresh());
    let span = [trace::bytes(1, [7; 16]), vec![0x12, 0x7f]].concat();
    let inside = trace::request_of(&[trace::resource_spans("s", &[trace::scope_spans("s", &[span])])]);
    [
        ("text", Bytes::from_static(b"this is no protobuf at all")),
        ("a message that is cut off", whole.slice(..whole.len() - 20)),
        ("a length beyond the end", Bytes::from_static(&[0x0a, 0xff, 0xff, 0x03, 0x00])),
        ("an endless varint", Bytes::from_static(&[0xff; 24])),
        ("a span that is cut off inside a sound request", inside),
    ]
}

async fn g13(subject: &Subject) -> Result<Found> {
    let connection = Connection::open(&subject.grpc).await?;
    let message = trace::request(&Ids::fresh());
    let answer = connection.call(Call::packed("x-unheard-of", &message)?).await?;
    let answer = answer.expect("grpc-encoding: x-unheard-of", &[UNIMPLEMENTED])?;
    let offered = answer.headers.get("grpc-accept-encoding").context("UNIMPLEMENTED without grpc-accept-encoding")?;
    let undeclared = Call::raw(framed(1, &pack::gzip(&message)?)?);
    connection.call(undeclared).await?.expect("a compressed message without grpc-encoding", &[INTERNAL])?;
    held(format!("UNIMPLEMENTED with grpc-accept-encoding {offered:?}; INTERNAL"))
}

async fn g15(subject: &Subject) -> Result<Found> {
    let connection = Connection::open(&subject.grpc).await?;
    let message = trace::request(&Ids::fresh());
    for path in [
        "/opentelemetry.proto.collector.trace.v1.TraceService/Import",
        "/opentelemetry.proto.collector.trace.v9.TraceService/Export",
        "/nothing",
    ] {
        connection.call(Call::export(&message)?.to(path)).await?.expect(path, &[UNIMPLEMENTED])?;
    }
    for kind in ["application/grpc", "application/grpc+proto"] {
        connection.call(Call::export(&message)?.header("content-type", kind)).await?.expect_full(kind)?;
    }
    let body = wire::frame(&message, Compression::None)?;
    let answer = connection.call(Call::raw(body).header("content-type", "text/plain")).await?;
    ensure!(answer.http == 415, "content-type: text/plain: {}", answer.shown());
    held("UNIMPLEMENTED; both types taken; 415")
}
