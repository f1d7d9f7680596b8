//! HTTP: compressed answers, what one connection can carry, browsers.

use crate::Subject;
use crate::item::{Found, Item, held, item, not_applicable};
use crate::own::Shape;
use crate::raw::http::{Connection, JSON, PROTOBUF, Request};
use crate::trace::{self, Ids};
use anyhow::{Context as _, Result, ensure};

pub const ITEMS: &[Item] = &[
    item!("H16", Required, "A response is gzip only where Accept-Encoding names it, and then says so", h16),
    item!("H18", Advised, "Keep-alive, pipelined requests, chunked bodies, Expect: 100-continue", h18),
    item!("H19", Advised, "CORS, off by default; where configured, preflight and headers on errors too", h19),
];

async fn h16(subject: &Subject) -> Result<Found> {
    let request = || Request::export(JSON, trace::json_with(&Ids::fresh(), ""));
    let plain = request().to(&subject.http).await?.expect("a request", &[200])?;
    ensure!(plain.header("content-encoding").is_none(), "nobody asked for {:?}", plain.header("content-encoding"));
    let asked =
        request().header("accept-encoding", "gzip").to(&subject.http).await?.expect("gzip is asked for", &[200])?;
    match asked.header("content-encoding") {
        None | Some("identity") => {
            ensure!(asked.body.starts_with(b"{"), "neither JSON nor marked as gzip: {}", asked.shown());
            held("plain unless asked; gzip is not offered")
        }
        Some("gzip") => {
            ensure!(asked.body.starts_with(&[0x1f, 0x8b]), "said to be gzip: {}", asked.shown());
            held("plain unless asked, gzip where asked")
        }
        Some(other) => anyhow::bail!("gzip was asked for, {other} came"),
    }
}

async fn h18(subject: &Subject) -> Result<Found> {
    let mut connection = Connection::open(&subject.http).await?;
    let request = || Request::export(PROTOBUF, trace::request(&Ids::fresh()));
    for _ in 0..3 {
        connection.send(&request()).await?;
        connection.answer().await?.expect_full("one after the other")?;
    }
    for _ in 0..3 {
        connection.send(&request()).await?;
    }
    for _ in 0..3 {
        connection.answer().await.context("pipelined")?.expect_full("pipelined")?;
    }
    connection.send(&Request::chunked(PROTOBUF, trace::request(&Ids::fresh()))).await?;
    connection.answer().await.context("chunked")?.expect_full("chunked")?;
    let expecting = request().header("expect", "100-continue");
    connection.send_head(&expecting).await?;
    connection.answer().await.context("Expect: 100-continue")?.expect("Expect: 100-continue", &[100])?;
    connection.send_body(&expecting).await?;
    connection.answer().await?.expect_full("after 100-continue")?;
    held("eight requests on one connection: in turn, pipelined, chunked, after 100")
}

const PAGE: &str = "https://shop.example";

/// What a browser asks before a page of that origin sends.
fn preflight(origin: &str) -> Request {
    Request::new("OPTIONS /v1/traces", "")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-encoding,content-type,x-tenant")
}

async fn h19(subject: &Subject) -> Result<Found> {
    let usual = preflight(PAGE).to(&subject.http).await?;
    let shape = Shape { cors: Some(("https://*.example", "x-tenant")), ..Shape::default() };
    let Some(own) = subject.another(shape).await? else {
        return match usual.header("access-control-allow-origin") {
            None => not_applicable(format!("not offered, or not configured: preflight is answered {}", usual.status)),
            Some(_) => allowed(&subject.http).await.and_then(held),
        };
    };
    let off = usual.header("access-control-allow-origin").is_none();
    ensure!(off, "where nothing is configured, preflight is answered {}", usual.shown());
    let seen = allowed(&own.http).await?;
    let foreign = preflight("https://shop.other").to(&own.http).await?;
    let refused = foreign.header("access-control-allow-origin").is_none();
    ensure!(refused, "an origin that is not listed is allowed: {}", foreign.shown());
    own.stop().await?;
    held(format!("off by default; {seen}"))
}

/// Whether the page may send, and reads errors too.
async fn allowed(address: &str) -> Result<String> {
    let answer = preflight(PAGE).to(address).await?;
    let said = |name: &str| {
        answer
            .header(name)
            .map(str::to_ascii_lowercase)
            .with_context(|| format!("preflight: no {name} in {}", answer.shown()))
    };
    let origin = said("access-control-allow-origin")?;
    ensure!(["*", PAGE].contains(&&origin[..]), "preflight from {PAGE}: {origin} is allowed");
    let methods = said("access-control-allow-methods")?;
    ensure!(methods.contains("post"), "allowed methods: {methods}");
    let headers = said("access-control-allow-headers")?;
    for wanted in ["content-type", "content-encoding", "x-tenant"] {
        ensure!(headers == "*" || headers.contains(wanted), "allowed headers: {headers}");
    }
    let age = said("access-control-max-age")?;
    let credentials = origin == "*" || said("access-control-allow-credentials")? == "true";
    ensure!(credentials, "a page with cookies may not send");
    let bad = Request::export(JSON, "{").header("origin", PAGE).to(address).await?.expect("bad data", &[400])?;
    ensure!(bad.header("access-control-allow-origin").is_some(), "an error without it: {}", bad.shown());
    Ok(format!("{origin} may POST for {age} s without asking again, and reads errors too"))
}
