//! JSON: keys, order, bounds, and the response.

use super::json_values::{NO_SINK, through, value};
use crate::Subject;
use crate::item::{Found, Item, held, item, not_applicable};
use crate::raw::http::{JSON, Request};
use crate::trace::{self, Ids};
use anyhow::{Context as _, Result, ensure};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use std::future::{Ready, ready};

pub const ITEMS: &[Item] = &[
    item!("J3", Required, "Unknown fields are ignored at every level, with all that is in them", j3),
    item!("J4", Required, "Keys are lowerCamelCase; snake_case is not valid, and at most taken leniently", j4),
    item!("J9", Advised, "An id of odd length or with a digit that is not hex: 400, never cut or padded", j9),
    item!("J10", Required, "Of duplicate keys the last wins; any order; escapes and surrogate pairs", j10),
    item!("J11", Advised, "Depth and length of numbers are limited; invalid UTF-8 is 400", j11),
    item!("J12", Required, "The response is {}, or a partialSuccess with rejectedSpans as text", j12),
    item!("J14", Required, "JSON lines, one TracesData a line, for a tool that replays files", j14),
];

async fn j3(subject: &Subject) -> Result<Found> {
    let Some(sink) = subject.sink() else { return not_applicable(NO_SINK) };
    // The envelope of every JSON request of the suite has unknown fields too.
    let more = r#","later":{"spans":[{"traceId":"zz"}],"x":[[{}],"]}",1e9]},"events":[{"name":"e","new":[{}]}],"links":[],"status":{"code":1,"reason":{"a":"}"}},"attributes":[{"key":"k","hint":[],"value":{"stringValue":"v","unit":{}}}]"#;
    let span = through(subject, sink, &Ids::fresh(), more).await?;
    ensure!(value(&span, "k")? == Some(Value::StringValue("v".to_owned())), "{span:?}");
    ensure!(span.events.len() == 1 && span.status.as_ref().is_some_and(|status| status.code == 1), "{span:?}");
    held("in the request, resource, scope, span, event, status, attribute and value")
}

async fn j4(subject: &Subject) -> Result<Found> {
    let Some(sink) = subject.sink() else { return not_applicable(NO_SINK) };
    let camel = through(subject, sink, &Ids::fresh(), r#","droppedAttributesCount":3"#).await?;
    ensure!(camel.dropped_attributes_count == 3, "{camel:?}");
    let ids = Ids::fresh();
    let snake = trace::json_with(&ids, r#","dropped_attributes_count":3"#);
    let answer = Request::export(JSON, snake).to(&subject.http).await?.expect("snake_case", &[200, 400])?;
    if answer.status == 400 {
        return held("snake_case is refused");
    }
    let lenient = Subject::arrived(sink, &ids).await?.dropped_attributes_count == 3;
    held(format!("snake_case is {}", if lenient { "taken leniently" } else { "ignored as unknown" }))
}

async fn j9(subject: &Subject) -> Result<Found> {
    let good = Ids::fresh();
    let (trace_id, span_id) = (good.trace_hex(), good.span_hex());
    for (what, trace_id, span_id) in [
        ("a trace id of 31 digits", &trace_id[1..], &span_id[..]),
        ("a span id of 15 digits", &trace_id[..], &span_id[1..]),
        ("a trace id with a g", &format!("g{}", &trace_id[1..])[..], &span_id[..]),
        ("a span id with a space", &trace_id[..], &format!("{} ", &span_id[1..])[..]),
    ] {
        let span = format!(r#""traceId":"{trace_id}","spanId":"{span_id}","name":"bad""#);
        let answer = Request::export(JSON, trace::json_of(&span)).to(&subject.http).await?;
        answer.expect(what, &[400])?;
    }
    held("400 for each of four")
}

async fn j10(subject: &Subject) -> Result<Found> {
    let Some(sink) = subject.sink() else { return not_applicable(NO_SINK) };
    let more = r#","kind":1,"name":"\u0041\n\"\\\/ \ud83d\ude00 \u00fc","kind":5"#;
    let span = through(subject, sink, &Ids::fresh(), more).await?;
    ensure!(span.kind == 5, "of kinds 1 and 5 the kind became {}", span.kind);
    ensure!(span.name == "A\n\"\\/ 😀 ü", "the name became {:?}", span.name);
    held("the last of two kinds and names; all escapes; the scope after its spans")
}

async fn j11(subject: &Subject) -> Result<Found> {
    const DEEP: usize = 200_000;
    let nested = |open: &str, close: &str| format!("{}{}", open.repeat(DEEP), close.repeat(DEEP));
    let unknown = trace::json_with(&Ids::fresh(), &format!(r#","later":{}"#, nested("[", "]")));
    let known = nested(r#"{"arrayValue":{"values":["#, "]}}");
    let known = trace::json_with(&Ids::fresh(), &format!(r#","attributes":[{{"key":"k","value":{known}}}]"#));
    let number = trace::json_with(&Ids::fresh(), &format!(r#","startTimeUnixNano":{}"#, "9".repeat(DEEP)));
    let mut text = trace::json_with(&Ids::fresh(), r#","traceState":"#).into_bytes();
    let at = memchr::memmem::find(&text, b"conformance").context("the name")?;
    text[at] = 0xff;
    // What is skipped may be as deep as it likes, as long as it does no harm.
    let skipped = Request::export(JSON, unknown).to(&subject.http).await.context("unknown fields, 200,000 deep")?;
    let skipped = skipped.expect("unknown fields, 200,000 deep", &[200, 400])?.status;
    for (what, body) in [
        ("values, 200,000 deep", known.into_bytes()),
        ("a number of 200,000 digits", number.into_bytes()),
        ("invalid UTF-8", text),
    ] {
        Request::export(JSON, body).to(&subject.http).await.context(what)?.expect(what, &[400])?;
    }
    let after = Request::export(JSON, trace::json_with(&Ids::fresh(), "")).to(&subject.http).await?;
    after.expect_full("a request after them")?;
    held(format!("400 for values 200,000 deep, long numbers, invalid UTF-8; {skipped} for unknown fields as deep"))
}

async fn j12(subject: &Subject) -> Result<Found> {
    let answer = Request::export(JSON, trace::json_with(&Ids::fresh(), "")).to(&subject.http).await?;
    let answer = answer.expect("a request", &[200])?;
    let response: serde_json::Value = serde_json::from_slice(&answer.body).with_context(|| answer.shown())?;
    let Some(partial) = response.get("partialSuccess") else {
        ensure!(response == serde_json::json!({}), "{response}");
        return held("{}");
    };
    let rejected = partial.get("rejectedSpans").is_none_or(serde_json::Value::is_string);
    ensure!(partial.is_object() && rejected, "{response}");
    held(response.to_string())
}

fn j14(_: &Subject) -> Ready<Result<Found>> {
    ready(not_applicable("of files, not of servers"))
}
