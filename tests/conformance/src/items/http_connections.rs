//! HTTP: compressed answers, what one connection can carry, browsers.

use crate::Subject;
use crate::item::{Found, Item, held, item, not_applicable};
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

async fn h19(subject: &Subject) -> Result<Found> {
    let preflight = Request::new("OPTIONS /v1/traces", "")
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type");
    let answer = preflight.to(&subject.http).await?;
    match answer.header("access-control-allow-origin") {
        None => not_applicable(format!("not offered, or not configured: preflight is answered {}", answer.status)),
        Some(origin @ ("*" | "https://shop.example")) => {
            let methods = answer.header("access-control-allow-methods").context("no allowed methods")?;
            ensure!(methods.contains("POST"), "allowed methods: {methods}");
            let bad = Request::export(JSON, "{").header("origin", "https://shop.example").to(&subject.http).await?;
            ensure!(bad.header("access-control-allow-origin").is_some(), "an error without it: {}", bad.shown());
            held(format!("{origin} may POST and reads errors too"))
        }
        Some(other) => anyhow::bail!("preflight from https://shop.example: {other} is allowed"),
    }
}
