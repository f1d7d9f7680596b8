//! What a proxy must leave as it is. All of it is seen at the sink, so it takes a server that the suite has started; plugins
//! there edit every span, so that messages are put together anew.

use crate::Subject;
use crate::item::{Found, Item, held, item, not_applicable};
use crate::own::{Chain, Mode, Shape};
use crate::raw::grpc::{Call, Connection};
use crate::trace::{self, Ids};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use memchr::memmem;

pub const ITEMS: &[Item] = &[
    item!("D1", Advised, "Unknown fields arrive byte for byte at every level; split sub-messages arrive whole", d1),
    item!("D2", Advised, "Flags are copied as they are, bits 10 to 31 too", d2),
    item!("D3", Advised, "Filters leave no empty ScopeSpans and ResourceSpans behind", d3),
    item!("D4", Required, "Drops by policy are not rejections: no rejected_spans for them", d4),
    item!("D5", Required, "The ot tracestate entry: th and rv well-formed; other keys and vendors are kept", d5),
];

const WHY: &str = "it takes a sink, and plugins in the chain before it";

async fn send(subject: &Subject, message: &Bytes) -> Result<()> {
    Connection::open(&subject.grpc).await?.call(Call::export(message)?).await?.expect_full("a request")
}

/// Unknown fields of every wire type, with a text by which they are found.
fn strange(level: &str, mark: &str) -> Vec<u8> {
    [
        trace::unknown(&format!("{level} {mark}")),
        trace::varint(1901, 1 << 63),
        trace::fixed32(1902, 0xdead_beef),
        trace::fixed64(1903, 0x0123_4567_89ab_cdef),
    ]
    .concat()
}

async fn d1(subject: &Subject) -> Result<Found> {
    let Some(sink) = subject.sink() else { return not_applicable(WHY) };
    let (ids, mark) = (Ids::fresh(), trace::hex(&Ids::fresh().trace));
    let level = |name| strange(name, &mark);
    let value = [trace::bytes(1, "v"), level("value")].concat();
    let pair = [trace::bytes(1, "k"), trace::bytes(2, value), level("key-value")].concat();
    let event = [trace::bytes(2, "e"), level("event")].concat();
    let link = [trace::bytes(1, ids.trace), trace::bytes(2, ids.span), level("link")].concat();
    // A status, a scope and a resource in two pieces each: protobuf says that they are one.
    let pieces =
        [trace::bytes(15, [trace::varint(3, 2), level("status")].concat()), trace::bytes(15, trace::bytes(2, "m"))];
    let more = [trace::bytes(9, pair), trace::bytes(11, event), trace::bytes(13, link), pieces.concat(), level("span")];
    let span = trace::span_with(&ids, "unknown", &more.concat());
    let scope = [
        trace::bytes(1, [trace::bytes(1, "split"), level("scope")].concat()),
        trace::bytes(2, span),
        trace::bytes(1, trace::bytes(2, "1.0")),
        level("scope's spans"),
    ];
    let resource = [
        trace::bytes(1, [trace::bytes(1, trace::attribute("first", "1")), level("resource")].concat()),
        trace::bytes(2, scope.concat()),
        trace::bytes(1, trace::bytes(1, trace::attribute("second", "2"))),
        level("resource's spans"),
    ];
    let message = [trace::bytes(1, resource.concat()), level("request")].concat();
    send(subject, &message.into()).await?;
    let (request, span) = Subject::arrived_with(sink, &ids).await?;
    let levels = [
        "value",
        "key-value",
        "event",
        "link",
        "status",
        "span",
        "scope",
        "scope's spans",
        "resource",
        "resource's spans",
        "request",
    ];
    let has =
        |bytes: &[u8]| sink.arrivals(|all| all.messages.iter().any(|message| memmem::find(message, bytes).is_some()));
    let lost: Vec<_> = levels.iter().filter(|name| !has(&strange(name, &mark))).collect();
    ensure!(lost.is_empty(), "unknown fields did not arrive as they were: of {lost:?}");
    ensure!(span.status.as_ref().is_some_and(|status| status.code == 2 && status.message == "m"), "split: {span:?}");
    let found = request
        .resource_spans
        .iter()
        .find(|each| each.scope_spans.iter().any(|scope| scope.spans.iter().any(|span| span.span_id == ids.span)));
    let found = found.context("the span's resource")?;
    let attributes = found.resource.as_ref().map(|resource| &resource.attributes[..]).unwrap_or_default();
    for key in ["first", "second"] {
        ensure!(attributes.iter().any(|each| each.key == key), "of a split resource {key} is lost: {attributes:?}");
    }
    let scope = found.scope_spans.first().and_then(|scope| scope.scope.as_ref()).context("no scope")?;
    ensure!(scope.name == "split" && scope.version == "1.0", "a split scope became {scope:?}");
    let edited = span.attributes.iter().any(|each| each.key == "conformance");
    ensure!(edited, "the chain was to edit the span");
    held(format!("all of {} levels, on an edited span; split status, scope and resource are whole", levels.len()))
}

async fn d2(subject: &Subject) -> Result<Found> {
    let Some(sink) = subject.sink() else { return not_applicable(WHY) };
    for flags in [0x0000_0101, 0xffff_ffff, 0x8000_0400_u32] {
        let ids = Ids::fresh();
        send(subject, &trace::request_with(&ids, &trace::fixed32(16, flags))).await?;
        let arrived = Subject::arrived(sink, &ids).await?.flags;
        ensure!(arrived == flags, "{flags:#x} became {arrived:#x}");
    }
    held("three words of flags, all bits set among them")
}

/// A span that drop-health drops.
fn health(ids: &Ids) -> Vec<u8> {
    trace::span_with(ids, "GET /healthz", &[])
}

async fn d3(subject: &Subject) -> Result<Found> {
    let Some(sink) = subject.sink() else { return not_applicable(WHY) };
    let (good, mark) = (Ids::fresh(), trace::hex(&Ids::fresh().trace));
    let scope_mark = format!("scope-{mark}");
    let checks = || [health(&Ids::fresh()), health(&Ids::fresh())];
    let emptied = trace::resource_spans(&format!("resource-{mark}"), &[trace::scope_spans("checks", &checks())]);
    let kept = trace::resource_spans(
        &format!("kept-{mark}"),
        &[
            trace::scope_spans(&scope_mark, &checks()),
            trace::scope_spans("kept", &[trace::span_with(&good, "work", &[])]),
        ],
    );
    send(subject, &trace::request_of(&[emptied, kept])).await?;
    Subject::arrived(sink, &good).await?;
    let has = |text: String| {
        sink.arrivals(|all| all.messages.iter().any(|message| memmem::find(message, text.as_bytes()).is_some()))
    };
    ensure!(has(format!("kept-{mark}")), "the resource that keeps a span did not arrive");
    ensure!(!has(scope_mark), "a ScopeSpans whose spans were all dropped arrived");
    ensure!(!has(format!("resource-{mark}")), "a ResourceSpans whose spans were all dropped arrived");
    held("the shells are gone with their spans")
}

async fn d4(subject: &Subject) -> Result<Found> {
    let Some(own) = subject.own() else { return not_applicable(WHY) };
    let (dropped, kept) = (Ids::fresh(), Ids::fresh());
    let spans = [health(&dropped), trace::span_with(&kept, "work", &[])];
    send(subject, &trace::request_of(&[trace::resource_spans("d4", &[trace::scope_spans("d4", &spans)])])).await?;
    Subject::arrived(&own.sink, &kept).await?;
    let arrived = own.sink.arrivals(|all| all.all_spans().any(|span| span.span_id == dropped.span));
    ensure!(!arrived, "the filter was to drop a span");
    held("one of two spans was dropped by a filter, and the answer is full success")
}

async fn d5(subject: &Subject) -> Result<Found> {
    const STATE: &str = "other=a1,ot=rv:ffffffffffff00;x:kept,more=b2";
    let chain = Chain::Sample(Mode::Equalizing, vec![0.25]);
    let Some(own) = subject.another(Shape { chain, ..Shape::default() }).await? else { return not_applicable(WHY) };
    let ids = Ids::fresh();
    let connection = Connection::open(&own.grpc).await?;
    let span = trace::span_with(&ids, "state", &trace::bytes(3, STATE));
    let message = trace::request_of(&[trace::resource_spans("rate-0", &[trace::scope_spans("state", &[span])])]);
    connection.call(Call::export(&message)?).await?.expect_full("a request")?;
    let state = Subject::arrived(&own.sink, &ids).await?.trace_state;
    own.stop().await?;
    let entries: Vec<_> = state.split(',').map(str::trim).collect();
    let ours = entries.iter().find_map(|entry| entry.strip_prefix("ot=")).context("no ot entry")?;
    let parts: Vec<_> = ours.split(';').collect();
    for part in ["th:c", "rv:ffffffffffff00", "x:kept"] {
        ensure!(parts.contains(&part), "{part} is not in {state}");
    }
    ensure!(parts.len() == 3 && entries.len() == 3, "{STATE} became {state}");
    ensure!(entries.contains(&"other=a1") && entries.contains(&"more=b2") && state.len() <= 256, "{state}");
    held(format!("sampled at 25 %: {state}"))
}
