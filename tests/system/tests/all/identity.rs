//! Invariant 1: a span that no plugin touched leaves byte for byte as it came, unknown fields and all.

use anyhow::Result;
use bytes::{BufMut as _, Bytes, BytesMut};
use harness::sink::Keep;
use harness::spans::Mix;
use harness::{Generator, Profile, Proxy, Sink};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};
use serde_json::json;

/// A field that no version of OTLP knows.
const UNKNOWN: u32 = 1_999;

fn field(number: u32, content: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    encode_key(number, WireType::LengthDelimited, &mut out);
    encode_varint(content.len() as u64, &mut out);
    out.put_slice(content);
    out.freeze()
}

/// A span as a field of its scope, with an unknown field at its end.
fn with_unknown(span: &Span) -> Bytes {
    field(2, &[span.encode_to_vec(), field(UNKNOWN, b"of the future").to_vec()].concat())
}

/// `ExportTraceServiceRequest` with one resource, one scope and these spans, each with an unknown field at its end.
fn request(spans: &[Span]) -> Bytes {
    let scope: Vec<u8> = spans.iter().flat_map(|span| with_unknown(span).to_vec()).collect();
    let scope = [scope, field(UNKNOWN, b"in the scope").to_vec()].concat();
    let resource = [field(2, &scope).to_vec(), field(UNKNOWN, b"in the resource").to_vec()].concat();
    field(1, &resource)
}

#[tokio::test]
async fn untouched_requests_leave_as_they_came() -> Result<()> {
    for plugin in [None, Some("drop-health"), Some("scrub-pii")] {
        let sink = Sink::keeping(Keep::Requests).await?;
        let mut setup = Proxy::setup()?.export_grpc("sink", &sink);
        if let Some(plugin) = plugin {
            setup = setup.plugin("10-plugin", plugin)?;
        }
        setup
            .run(async |proxy| {
                let made = Generator::new(Profile::Large, 121).mix(Mix::PLAIN).request(30);
                let message = request(&made.request.resource_spans[0].scope_spans[0].spans);
                assert!(proxy.grpc().send_bytes(message.clone()).await?.is_whole());
                sink.wait_for_spans(30).await?;
                let arrived = sink.arrivals(|arrivals| arrivals.messages.clone());
                assert_eq!(arrived.len(), 1);
                assert!(arrived[0] == message, "{plugin:?} changed bytes that it did not touch");
                Ok(())
            })
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn whole_traces_leave_the_trace_buffer_with_the_bytes_of_their_spans() -> Result<()> {
    let sink = Sink::keeping(Keep::Requests).await?;
    let everything = json!({ "settings": { "policies": [{ "name": "everything", "type": "always_sample" }] } });
    let setup = Proxy::setup()?
        .export_grpc("sink", &sink)
        .set("tail", json!({ "root_delay": "200ms", "idle": "500ms" }))
        .plugin("90-tail-sample", "tail-sample")?
        .sidecar("90-tail-sample", &everything)?;
    setup
        .run(async |proxy| {
            let mut made = Generator::new(Profile::Large, 123).mix(Mix::PLAIN).request(30);
            let spans = &mut made.request.resource_spans[0].scope_spans[0].spans;
            // What is kept for certain keeps the weight with which it came.
            spans[4].trace_state = "vendor=1,ot=th:8;rv:c0000000000000".to_owned();
            assert!(proxy.grpc().send_bytes(request(spans)).await?.is_whole());
            sink.wait_for_spans(30).await?;
            // They leave as they are decided, so in several requests and in another order; their bytes are the same.
            let arrived = sink.arrivals(|arrivals| arrivals.messages.concat());
            for (number, span) in spans.iter().enumerate() {
                assert_eq!(count(&arrived, &with_unknown(span)), 1, "span {number}");
            }
            let (resources, scopes) = sink.arrivals(|arrivals| {
                let resources = || arrivals.requests.iter().flat_map(|request| &request.resource_spans);
                (resources().count(), resources().map(|resource| resource.scope_spans.len()).sum::<usize>())
            });
            assert_eq!(count(&arrived, &field(UNKNOWN, b"in the resource")), resources);
            assert_eq!(count(&arrived, &field(UNKNOWN, b"in the scope")), scopes);
            Ok(())
        })
        .await
}

/// How often these bytes stand in those.
fn count(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).filter(|window| *window == wanted).count()
}

#[tokio::test]
async fn beside_a_touched_span_the_others_keep_their_bytes() -> Result<()> {
    let sink = Sink::keeping(Keep::Requests).await?;
    let setup = Proxy::setup()?.export_grpc("sink", &sink).plugin("10-scrub-pii", "scrub-pii")?;
    setup
        .run(async |proxy| {
            let mut made = Generator::new(Profile::Medium, 122).mix(Mix::PLAIN).request(9);
            let spans = &mut made.request.resource_spans[0].scope_spans[0].spans;
            spans[4].name = "mail to nina.holm@mail.example".to_owned();
            let message = request(spans);
            assert!(proxy.grpc().send_bytes(message.clone()).await?.is_whole());
            sink.wait_for_spans(9).await?;
            let arrived = sink.arrivals(|arrivals| arrivals.messages[0].clone());
            for (number, span) in spans.iter().enumerate() {
                let bytes = span.encode_to_vec();
                let there = arrived.windows(bytes.len()).any(|window| window == bytes);
                assert_eq!(there, number != 4, "span {number}");
            }
            assert_eq!(arrived.windows(13).filter(|window| *window == b"of the future").count(), 9);
            assert!(!arrived.windows(12).any(|window| window == b"mail.example"));
            Ok(())
        })
        .await
}
