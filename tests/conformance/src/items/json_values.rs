//! JSON: how values are written.

use crate::Subject;
use crate::item::{Found, Item, held, item, not_applicable};
use crate::raw::http::{JSON, Request};
use crate::trace::{self, Ids};
use anyhow::{Context as _, Result, ensure};
use harness::Sink;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;

pub const ITEMS: &[Item] = &[
    item!("J1", Required, "Ids are hex of either case; every other bytes field is base64", j1),
    item!("J2", Required, "Enums are integers; names are refused, or taken leniently and never passed on as such", j2),
    item!("J5", Required, "64-bit integers are taken as text or number, 32-bit ones as well", j5),
    item!("J6", Required, "intValue beyond 2^53 is exact; doubleValue takes NaN and infinities", j6),
    item!("J7", Required, "null is absent, omitted is default, empty arrays are fine", j7),
    item!("J8", Required, "\"\" is an empty id: good for a parent, bad for a span", j8),
    item!("J13", Required, "AnyValue: empty, bytes, nested kvlist and array of mixed types", j13),
];

pub const NO_SINK: &str = "what arrives takes a sink behind the server";

/// Exports one span as JSON and waits for it at the sink.
pub async fn through(subject: &Subject, sink: &Sink, ids: &Ids, more: &str) -> Result<Span> {
    Request::export(JSON, trace::json_with(ids, more)).to(&subject.http).await?.expect_full(more)?;
    Subject::arrived(sink, ids).await.with_context(|| more.to_owned())
}

/// The value of an attribute.
pub fn value(span: &Span, key: &str) -> Result<Option<Value>> {
    let attribute = span.attributes.iter().find(|attribute| attribute.key == key);
    let attribute = attribute.with_context(|| format!("no attribute {key} in {:?}", span.attributes))?;
    Ok(attribute.value.as_ref().and_then(|value| value.value.clone()))
}

/// An attribute of a span as JSON, `value` being its `AnyValue`.
fn attribute(value: &str) -> String {
    format!(r#","attributes":[{{"key":"k","value":{value}}}]"#)
}

async fn j1(subject: &Subject) -> Result<Found> {
    let Some(sink) = subject.sink() else { return not_applicable(NO_SINK) };
    let (ids, other) = (Ids::fresh(), Ids::fresh());
    let upper = [ids.trace_hex().to_uppercase(), ids.span_hex().to_uppercase(), other.span_hex().to_uppercase()];
    let span = format!(
        r#""traceId":"{}","spanId":"{}","parentSpanId":"{}","links":[{{"traceId":"{}","spanId":"{}"}}],"attributes":[{{"key":"k","value":{{"bytesValue":"AP+rzQ=="}}}}]"#,
        upper[0],
        upper[1],
        upper[2],
        other.trace_hex(),
        other.span_hex()
    );
    Request::export(JSON, trace::json_of(&span)).to(&subject.http).await?.expect_full("upper-case ids")?;
    let span = Subject::arrived(sink, &ids).await.context("upper-case ids")?;
    ensure!(span.trace_id == ids.trace && span.parent_span_id == other.span, "ids became {span:?}");
    let link = span.links.first().context("no link")?;
    ensure!(link.trace_id == other.trace && link.span_id == other.span, "a link became {link:?}");
    let bytes = value(&span, "k")?;
    ensure!(bytes == Some(Value::BytesValue(vec![0, 0xff, 0xab, 0xcd])), "base64 became {bytes:?}");
    held("trace, span, parent and link ids of both cases; bytesValue from base64")
}

async fn j2(subject: &Subject) -> Result<Found> {
    let Some(sink) = subject.sink() else { return not_applicable(NO_SINK) };
    let numbers = through(subject, sink, &Ids::fresh(), r#","kind":3,"status":{"code":2}"#).await?;
    ensure!(numbers.kind == 3 && numbers.status.as_ref().is_some_and(|status| status.code == 2), "{numbers:?}");
    let ids = Ids::fresh();
    let named = trace::json_with(&ids, r#","kind":"SPAN_KIND_CLIENT","status":{"code":"STATUS_CODE_ERROR"}"#);
    let answer = Request::export(JSON, named).to(&subject.http).await?.expect("names", &[200, 400])?;
    if answer.status == 400 {
        return held("integers taken, names refused");
    }
    let named = Subject::arrived(sink, &ids).await?;
    ensure!(named.kind == 3 && named.status.as_ref().is_some_and(|status| status.code == 2), "names became {named:?}");
    held("integers taken; names taken leniently, integers passed on")
}

async fn j5(subject: &Subject) -> Result<Found> {
    const TIME: u64 = 1_767_225_600_123_456_789;
    let Some(sink) = subject.sink() else { return not_applicable(NO_SINK) };
    for quote in ["\"", ""] {
        let more = format!(
            r#","startTimeUnixNano":{quote}{TIME}{quote},"flags":{quote}257{quote},"droppedEventsCount":{quote}7{quote},"attributes":[{{"key":"k","value":{{"intValue":{quote}-42{quote}}}}}]"#
        );
        let span = through(subject, sink, &Ids::fresh(), &more).await?;
        let right = span.start_time_unix_nano == TIME && span.flags == 257 && span.dropped_events_count == 7;
        ensure!(right && value(&span, "k")? == Some(Value::IntValue(-42)), "{more} became {span:?}");
    }
    held("time, flags, count and intValue as texts and as numbers")
}

async fn j6(subject: &Subject) -> Result<Found> {
    let Some(sink) = subject.sink() else { return not_applicable(NO_SINK) };
    for text in ["9007199254740993", "9223372036854775807", "-9223372036854775808"] {
        for quote in ["\"", ""] {
            let more = attribute(&format!(r#"{{"intValue":{quote}{text}{quote}}}"#));
            let span = through(subject, sink, &Ids::fresh(), &more).await?;
            let found = value(&span, "k")?;
            ensure!(found == Some(Value::IntValue(text.parse()?)), "{quote}{text}{quote} became {found:?}");
        }
    }
    for (text, wanted) in [
        ("1.5", 1.5),
        ("-0.25e2", -25.0),
        ("3", 3.0),
        ("\"NaN\"", f64::NAN),
        ("\"Infinity\"", f64::INFINITY),
        ("\"-Infinity\"", f64::NEG_INFINITY),
    ] {
        let span = through(subject, sink, &Ids::fresh(), &attribute(&format!(r#"{{"doubleValue":{text}}}"#))).await?;
        let found = value(&span, "k")?;
        let Some(Value::DoubleValue(double)) = found else { anyhow::bail!("{text} became {found:?}") };
        ensure!(double.total_cmp(&wanted).is_eq() || double.is_nan() && wanted.is_nan(), "{text} became {double}");
    }
    held("the ends of int64 both ways, NaN and both infinities")
}

async fn j7(subject: &Subject) -> Result<Found> {
    let Some(sink) = subject.sink() else { return not_applicable(NO_SINK) };
    let more = r#","parentSpanId":null,"kind":null,"status":null,"attributes":null,"events":[],"links":[],"traceState":null,"endTimeUnixNano":null,"droppedLinksCount":null"#;
    let span = through(subject, sink, &Ids::fresh(), more).await?;
    let empty = span.parent_span_id.is_empty() && span.kind == 0 && span.status.is_none_or(|status| status.code == 0);
    ensure!(empty && span.events.is_empty() && span.end_time_unix_nano == 0, "null was read as something");
    for body in [r#"{"resourceSpans":null}"#, r#"{"resourceSpans":[{"resource":null,"scopeSpans":null}]}"#] {
        Request::export(JSON, body).to(&subject.http).await?.expect_full(body)?;
    }
    held("nulls are absent, in spans and around them")
}

async fn j8(subject: &Subject) -> Result<Found> {
    let Some(sink) = subject.sink() else { return not_applicable(NO_SINK) };
    let span = through(subject, sink, &Ids::fresh(), r#","parentSpanId":"""#).await?;
    ensure!(span.parent_span_id.is_empty(), "an empty parent became {:?}", span.parent_span_id);
    let empty = trace::json_of(r#""traceId":"","spanId":"","name":"empty ids""#);
    let answer = Request::export(JSON, empty).to(&subject.http).await?.expect("empty ids", &[200, 400])?;
    held(format!("an empty parent arrives as such; a span with empty ids is answered {}", answer.status))
}

async fn j13(subject: &Subject) -> Result<Found> {
    let Some(sink) = subject.sink() else { return not_applicable(NO_SINK) };
    let empty = through(subject, sink, &Ids::fresh(), &attribute("{}")).await?;
    ensure!(value(&empty, "k")?.is_none(), "an empty value became {:?}", value(&empty, "k")?);
    let nested = r#"{"kvlistValue":{"values":[{"key":"a","value":{"arrayValue":{"values":[{"intValue":"1"},{"stringValue":"s"},{"boolValue":true},{"doubleValue":0.5},{},{"bytesValue":"/w=="}]}}}]}}"#;
    let span = through(subject, sink, &Ids::fresh(), &attribute(nested)).await?;
    let Some(Value::KvlistValue(list)) = value(&span, "k")? else { anyhow::bail!("kvlist became {span:?}") };
    let inner = list.values.first().and_then(|pair| pair.value.as_ref()).and_then(|value| value.value.clone());
    let Some(Value::ArrayValue(array)) = inner else { anyhow::bail!("an array became {inner:?}") };
    let values: Vec<_> = array.values.into_iter().map(|value| value.value).collect();
    let wanted = [
        Some(Value::IntValue(1)),
        Some(Value::StringValue("s".to_owned())),
        Some(Value::BoolValue(true)),
        Some(Value::DoubleValue(0.5)),
        None,
        Some(Value::BytesValue(vec![0xff])),
    ];
    ensure!(values == wanted, "an array of six became {values:?}");
    held("an empty value, and an array of six types in a kvlist")
}
