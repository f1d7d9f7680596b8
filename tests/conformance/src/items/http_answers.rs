//! HTTP: what is taken, and the words of what is not.

use crate::Subject;
use crate::item::{Found, Item, held, item};
use crate::raw::http::{Answer, JSON, PROTOBUF, Request};
use crate::raw::pack;
use crate::trace::{self, Ids};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use harness::{Client, Protocol};

pub const ITEMS: &[Item] = &[
    item!("H1", Required, "POST /v1/traces over HTTP/1.1; HTTP/2 without TLS on the same port may be offered", h1),
    item!("H2", Advised, "Protobuf and JSON on one port, told apart by Content-Type", h2),
    item!("H3", Required, "The response has the request's Content-Type, for errors too", h3),
    item!(
        "H4",
        Required,
        "Parameters and case of Content-Type are tolerated; a value that is not ASCII is an error answer",
        h4
    ),
    item!("H5", Advised, "Unknown Content-Type: 415. Not POST: 405 with Allow. Unknown path: 404", h5),
    item!("H6", Required, "Success: 200, a serialized response, partial_success unset", h6),
    item!("H7", Advised, "An empty body and an empty envelope: 200", h7),
    item!("H9", Required, "The body of every 4xx and 5xx is a google.rpc.Status in the request's encoding", h9),
    item!("H10", Required, "Undecodable data: 400, if possible with BadRequest in its details", h10),
    item!("H12", Required, "gzip, identity and no Content-Encoding are taken; an unknown one is a 4xx", h12),
];

/// Both formats, with a request in each.
fn formats() -> [(&'static str, Vec<u8>); 2] {
    let ids = Ids::fresh();
    [(PROTOBUF, trace::request(&ids).to_vec()), (JSON, trace::json_with(&ids, "").into_bytes())]
}

async fn h1(subject: &Subject) -> Result<Found> {
    Request::export(PROTOBUF, trace::request(&Ids::fresh())).to(&subject.http).await?.expect_full("a request")?;
    let h2c = Client::h2c(Protocol::HttpProtobuf, &subject.http);
    let h2c = h2c.send_bytes(trace::request(&Ids::fresh())).await.is_ok_and(|answer| answer.is_whole());
    held(format!("HTTP/1.1: 200; HTTP/2 is {}", if h2c { "taken" } else { "not offered" }))
}

async fn h2(subject: &Subject) -> Result<Found> {
    for (kind, body) in formats() {
        Request::export(kind, body).to(&subject.http).await?.expect_full(kind)?;
    }
    held("both taken")
}

async fn h3(subject: &Subject) -> Result<Found> {
    for (kind, body) in formats() {
        let good = Request::export(kind, body).to(&subject.http).await?.expect(kind, &[200])?;
        let bad = Request::export(kind, [0xff; 20]).to(&subject.http).await?.expect("twenty bytes of 0xff", &[400])?;
        for answer in [good, bad] {
            let same = answer.header("content-type").is_some_and(|answered| answered.starts_with(kind));
            ensure!(same, "{kind} was answered with {}", answer.shown());
        }
    }
    held("200 and 400 in both formats")
}

async fn h4(subject: &Subject) -> Result<Found> {
    let [(_, protobuf), (_, json)] = formats();
    for (kind, body) in [
        ("application/json; charset=utf-8", &json),
        ("Application/JSON ;charset=UTF-8", &json),
        ("Application/X-Protobuf", &protobuf),
        ("application/x-protobuf; a=b", &protobuf),
    ] {
        Request::export(kind, body).to(&subject.http).await?.expect_full(kind)?;
    }
    let strange = Request::export(b"application/\xfc\xff", &protobuf).to(&subject.http).await;
    let strange = strange.context("a Content-Type that is not ASCII")?;
    ensure!((400..500).contains(&strange.status), "a Content-Type that is not ASCII: {}", strange.shown());
    held(format!("tolerated; not ASCII: {}", strange.status))
}

async fn h5(subject: &Subject) -> Result<Found> {
    let [(_, protobuf), _] = formats();
    let missing = Request::new("POST /v1/traces", &protobuf).to(&subject.http).await?;
    missing.expect("no Content-Type", &[415])?;
    Request::export("text/plain", &protobuf).to(&subject.http).await?.expect("text/plain", &[415])?;
    for method in ["GET", "PUT", "DELETE"] {
        let request = Request::new(&format!("{method} /v1/traces"), "").header("content-type", PROTOBUF);
        let answer = request.to(&subject.http).await?.expect(method, &[405])?;
        let allow = answer.header("allow").with_context(|| format!("{method}: 405 without Allow"))?;
        ensure!(allow.contains("POST"), "{method}: Allow: {allow}");
    }
    let elsewhere = Request::new("POST /v1/nothing", &protobuf).header("content-type", PROTOBUF);
    elsewhere.to(&subject.http).await?.expect("POST /v1/nothing", &[404])?;
    held("415, 405 with Allow, 404")
}

async fn h6(subject: &Subject) -> Result<Found> {
    let [(_, protobuf), (_, json)] = formats();
    let answer = Request::export(PROTOBUF, protobuf).to(&subject.http).await?.expect(PROTOBUF, &[200])?;
    ensure!(answer.body.is_empty(), "protobuf: {}", answer.shown());
    let answer = Request::export(JSON, json).to(&subject.http).await?.expect(JSON, &[200])?;
    let response: serde_json::Value = serde_json::from_slice(&answer.body).with_context(|| answer.shown())?;
    ensure!(response.is_object() && response["partialSuccess"].is_null(), "JSON: {}", answer.shown());
    held("200; 0 bytes of protobuf, an object without partialSuccess")
}

async fn h7(subject: &Subject) -> Result<Found> {
    for (kind, body) in [
        (PROTOBUF, &b""[..]),
        (PROTOBUF, &[0x0a, 0x00]),
        (PROTOBUF, &[0x0a, 0x02, 0x12, 0x00]),
        (JSON, b"{}"),
        (JSON, br#"{"resourceSpans":[]}"#),
        (JSON, br#"{"resourceSpans":[{"scopeSpans":[{"spans":[]}]}]}"#),
    ] {
        let what = format!("{kind} {:?}", String::from_utf8_lossy(body));
        Request::export(kind, body).to(&subject.http).await?.expect_full(&what)?;
    }
    held("200 for each of six")
}

async fn h9(subject: &Subject) -> Result<Found> {
    let mut seen = Vec::new();
    for (kind, body) in formats() {
        let typed = |start: &str, body: &[u8]| Request::new(start, body).header("content-type", kind);
        let export = |body: &[u8]| typed("POST /v1/traces", body);
        for (what, request) in [
            ("bad data", export(&[0xff; 20])),
            ("GET", typed("GET /v1/traces", b"")),
            ("an unknown path", typed("POST /v1/nothing", &body)),
            ("an unknown encoding", export(&body).header("content-encoding", "x-unheard-of")),
            ("broken gzip", export(&body).header("content-encoding", "gzip")),
            ("over the limit", Request::promising(subject.limit + 1, kind, b"")),
        ] {
            let answer = request.to(&subject.http).await.with_context(|| format!("{kind}, {what}"))?;
            speaks(kind, &answer).with_context(|| format!("{kind}, {what}"))?;
            seen.push(answer.status.to_string());
        }
    }
    let other = Request::export("text/plain", "x").to(&subject.http).await?;
    ensure!(!other.rpc_status().context("text/plain")?.message.is_empty(), "text/plain: a Status without a message");
    held(format!("Status with a message for {}, and for 415", seen.join(", ")))
}

/// A refusal in the words of the request.
fn speaks(kind: &str, answer: &Answer) -> Result<()> {
    ensure!(answer.status >= 400, "{}", answer.shown());
    ensure!(answer.header("content-type") == Some(kind), "{}", answer.shown());
    ensure!(!answer.rpc_status()?.message.is_empty(), "a Status without a message: {}", answer.shown());
    Ok(())
}

async fn h10(subject: &Subject) -> Result<Found> {
    let mut without = 0;
    for (kind, bodies) in [(PROTOBUF, [&b"no protobuf"[..], &[0x0a, 0x7f]]), (JSON, [b"{", b"[1,2]"])] {
        for body in bodies {
            let answer = Request::export(kind, body).to(&subject.http).await?.expect(kind, &[400])?;
            let details = answer.rpc_status()?.details;
            let bad = details.iter().any(|detail| detail.type_url.ends_with("/google.rpc.BadRequest"));
            without += usize::from(!bad);
        }
    }
    // Of the details it is said that they should be there, not that they must.
    held(if without == 0 { "400 with BadRequest in both formats" } else { "400 in both formats, without BadRequest" })
}

async fn h12(subject: &Subject) -> Result<Found> {
    for (kind, body) in formats() {
        let body = Bytes::from(body);
        let packed = Request::export(kind, pack::gzip(&body)?).header("content-encoding", "gzip");
        packed.to(&subject.http).await?.expect_full("gzip")?;
        let identity = Request::export(kind, &body).header("content-encoding", "identity");
        identity.to(&subject.http).await?.expect_full("identity")?;
        let answer = Request::export(kind, &body).header("content-encoding", "x-unheard-of").to(&subject.http).await?;
        ensure!((400..500).contains(&answer.status), "content-encoding: x-unheard-of: {}", answer.shown());
    }
    held("taken; an unknown one is refused")
}
