//! Both protocols: partial success, and the size of answers.

use crate::Subject;
use crate::item::{Found, Item, held, item, not_applicable};
use crate::raw::grpc::{Call, Connection, OK};
use crate::raw::http::{JSON, PROTOBUF, Request};
use crate::trace::{self, Ids};
use anyhow::{Result, ensure};
use bytes::Bytes;
use harness::wait;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message as _;

pub const ITEMS: &[Item] = &[
    item!("G10", Required, "OK with rejected_spans = n where n spans are missing, and never OK with it unset", g10),
    item!("G11", Required, "A warning without rejection has rejected_spans = 0 and an error_message", g11),
    item!("G12", Required, "The response stays within its limit of 4 MiB", g12),
    item!("H8", Required, "Partial success: 200 with rejected_spans = n", h8),
    item!("H17", Required, "The response's body stays within its limit of 4 MiB", h17),
];

/// What an answer may hold.
const RESPONSE: usize = 4 << 20;
const BAD: usize = 3;
const MANY: usize = 20_000;

/// One good span, then some whose trace ids are too short.
fn with_bad_ids(good: &Ids, bad: usize) -> (Bytes, String) {
    let marker = trace::hex(&Ids::fresh().trace);
    let mut spans = vec![trace::span_with(good, "good", &[])];
    spans.extend(
        (0..bad).map(|_| [trace::bytes(5, &marker), trace::bytes(2, [7; 8]), trace::bytes(1, [7; 3])].concat()),
    );
    (trace::request_of(&[trace::resource_spans("partial", &[trace::scope_spans("partial", &spans)])]), marker)
}

/// How many spans of this name have arrived after the good one has.
async fn arrived(subject: &Subject, good: &Ids, marker: &str, expected: usize) -> Result<Option<usize>> {
    let Some(sink) = subject.sink() else { return Ok(None) };
    Subject::arrived(sink, good).await?;
    let count = || sink.arrivals(|all| all.all_spans().filter(|span| span.name == marker).count());
    // Those that are still under way may need a moment; those that were dropped never come.
    drop(
        wait::until_within(std::time::Duration::from_secs(2), "the others", async || {
            (count() >= expected).then_some(())
        })
        .await,
    );
    Ok(Some(count()))
}

async fn judge(
    subject: &Subject,
    good: &Ids,
    marker: &str,
    partial: Option<ExportTracePartialSuccess>,
) -> Result<Found> {
    let rejected = partial.map_or(0, |partial| partial.rejected_spans);
    let expected = BAD - usize::try_from(rejected)?.min(BAD);
    let Some(arrived) = arrived(subject, good, marker, expected).await? else {
        return match rejected {
            0 => not_applicable("no span was rejected, and without a sink nobody sees whether one is missing"),
            rejected => held(format!("{rejected} of {BAD} spans with bad ids were rejected")),
        };
    };
    let missing = BAD - arrived;
    ensure!(
        usize::try_from(rejected)? == missing,
        "{missing} of {BAD} spans with bad ids are missing, {rejected} were said to be rejected"
    );
    held(format!("of {BAD} spans with bad ids {rejected} were rejected and {arrived} arrived"))
}

async fn g10(subject: &Subject) -> Result<Found> {
    let good = Ids::fresh();
    let (message, marker) = with_bad_ids(&good, BAD);
    let answer = Connection::open(&subject.grpc).await?.call(Call::export(&message)?).await?;
    if answer.code != Some(OK) {
        return held(format!("the whole request is refused: {}", answer.shown()));
    }
    let response = ExportTraceServiceResponse::decode(answer.message()?)?;
    judge(subject, &good, &marker, response.partial_success).await
}

async fn h8(subject: &Subject) -> Result<Found> {
    let good = Ids::fresh();
    let (message, marker) = with_bad_ids(&good, BAD);
    let answer = Request::export(PROTOBUF, message).to(&subject.http).await?;
    if answer.status != 200 {
        return held(format!("the whole request is refused: {}", answer.shown()));
    }
    let response = ExportTraceServiceResponse::decode(&answer.body[..])?;
    judge(subject, &good, &marker, response.partial_success).await
}

async fn g11(subject: &Subject) -> Result<Found> {
    let (message, _) = with_bad_ids(&Ids::fresh(), BAD);
    let answer = Connection::open(&subject.grpc).await?.call(Call::export(&message)?).await?;
    if answer.code != Some(OK) {
        return not_applicable(format!("nothing here makes it warn: {}", answer.shown()));
    }
    match ExportTraceServiceResponse::decode(answer.message()?)?.partial_success {
        Some(partial) if partial.rejected_spans == 0 => {
            ensure!(!partial.error_message.is_empty(), "a partial success that says nothing");
            held(format!("a warning: {}", partial.error_message))
        }
        _ => not_applicable("it gave no warning"),
    }
}

async fn g12(subject: &Subject) -> Result<Found> {
    let (message, _) = with_bad_ids(&Ids::fresh(), MANY);
    let answer = Connection::open(&subject.grpc).await?.call(Call::export(&message)?).await?;
    ensure!(answer.body.len() <= RESPONSE, "{MANY} bad spans are answered with {} bytes", answer.body.len());
    held(format!("{MANY} bad spans are answered with {} bytes", answer.body.len()))
}

async fn h17(subject: &Subject) -> Result<Found> {
    let (message, _) = with_bad_ids(&Ids::fresh(), MANY);
    let partial = Request::export(PROTOBUF, message).to(&subject.http).await?.body.len();
    // An error that quotes what it did not understand would be as long as that.
    let quoted = format!(r#"{{"resourceSpans":[{{"scopeSpans":"{}"}}]}}"#, "long ".repeat(1 << 20));
    let refused = Request::export(JSON, quoted).to(&subject.http).await?.body.len();
    ensure!(partial.max(refused) <= RESPONSE, "{partial} and {refused} bytes");
    held(format!("{MANY} bad spans: {partial} bytes; 5 MiB where a list should be: {refused} bytes"))
}
