//! What clients may send: every protocol and compression arrives; what is malformed is refused and harms nothing else.

use anyhow::Result;
use bytes::Bytes;
use harness::client::Refusal;
use harness::spans::Mix;
use harness::{Client, Compression, Generator, Profile, Protocol, Proxy, Sink, fetch};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

const UNIMPLEMENTED: i32 = 12;

const PROTOCOLS: [Protocol; 3] = [Protocol::Grpc, Protocol::HttpProtobuf, Protocol::HttpJson];

fn client(proxy: &Proxy, protocol: Protocol) -> Client {
    match protocol {
        Protocol::Grpc => proxy.grpc(),
        other => proxy.http(other),
    }
}

#[tokio::test]
async fn every_protocol_and_compression_is_taken() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?.export_grpc("sink", &sink);
    setup
        .run(async |proxy| {
            let mut generator = Generator::new(Profile::Medium, 51).mix(Mix::PLAIN);
            let mut sent = Vec::new();
            for protocol in PROTOCOLS {
                for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
                    let made = generator.request(50);
                    let answer = client(proxy, protocol).compress(compression).send(&made.request).await?;
                    assert!(answer.is_whole(), "{protocol:?} {compression:?}: {answer:?}");
                    sent.extend(made.ids);
                }
            }
            let made = generator.request(50);
            assert!(proxy.h2c(Protocol::HttpProtobuf).send(&made.request).await?.is_whole());
            sent.extend(made.ids);
            sink.wait_for_spans(500).await?;
            sink.arrivals(|arrivals| assert!(sent.iter().all(|id| arrivals.ids[id].times == 1)));
            Ok(())
        })
        .await
}

#[tokio::test]
async fn malformed_input_is_refused_with_a_reason_and_nothing_else_is_lost() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?.export_http("sink", &sink);
    setup
        .run(async |proxy| {
            let mut generator = Generator::new(Profile::Small, 52).mix(Mix::PLAIN);
            let mut good = 0;
            for protocol in PROTOCOLS {
                let client = client(proxy, protocol);
                let whole = client.encode(&generator.request(20).request)?;
                for broken in broken(&whole) {
                    let answer = client.send_bytes(broken.clone()).await?;
                    let refusal = answer.refusal().unwrap_or_else(|| panic!("{protocol:?} took {broken:?}"));
                    expect_invalid(protocol, refusal);
                    let made = generator.request(20);
                    assert!(client.send(&made.request).await?.is_whole());
                    good += 20;
                }
            }
            sink.wait_for_spans(good).await?;
            let accounts = proxy.settled().await?;
            assert_eq!(accounts.door.admitted, good);
            assert_eq!(sink.spans(), good);
            Ok(())
        })
        .await
}

/// Cut off in the middle, text that is neither, and a length that promises more than there is.
fn broken(whole: &Bytes) -> Vec<Bytes> {
    vec![
        whole.slice(..whole.len() / 2),
        "neither protobuf nor JSON".into(),
        Bytes::from_static(&[0x0a, 0xff, 0xff, 0x03]),
    ]
}

fn expect_invalid(protocol: Protocol, refusal: &Refusal) {
    const INVALID_ARGUMENT: i32 = 3;
    assert_eq!(refusal.code, INVALID_ARGUMENT, "{refusal:?}");
    assert_eq!(refusal.http, if protocol == Protocol::Grpc { 200 } else { 400 }, "{refusal:?}");
    assert!(!refusal.is_retryable() && !refusal.message.is_empty(), "{refusal:?}");
}

/// Behind so many good bytes, a span whose name is a number: field 5 as a varint, the seventh byte of what is appended.
fn with_a_bad_name(good: &ExportTraceServiceRequest) -> (Bytes, usize) {
    let mut bytes = good.encode_to_vec();
    let at = bytes.len() + 6;
    bytes.extend_from_slice(&[0x0a, 6, 0x12, 4, 0x12, 2, 0x28, 1]);
    (bytes.into(), at)
}

#[tokio::test]
async fn senders_are_told_at_which_byte_of_what_their_data_is_malformed() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?.export_grpc("sink", &sink);
    setup
        .run(async |proxy| {
            let (bad, at) = with_a_bad_name(&Generator::new(Profile::Small, 57).request(3).request);
            let said = format!("malformed OTLP trace data: field 5 has the wrong wire type at byte {at}, in Span");
            for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
                // Compressed too, places are those of the message.
                for compression in [Compression::None, Compression::Gzip] {
                    let client = client(proxy, protocol).compress(compression);
                    let answer = client.send_bytes(bad.clone()).await?;
                    let refusal = answer.refusal().unwrap_or_else(|| panic!("{protocol:?} took it"));
                    expect_invalid(protocol, refusal);
                    assert_eq!(refusal.message, said, "{protocol:?} {compression:?}");
                }
            }
            let json = "{\"resourceSpans\": [{}, {\"scopeSpans\": [\n{\"spans\": [{\"name\": 5}]}]}]}";
            let answer = proxy.http(Protocol::HttpJson).send_bytes(Bytes::from_static(json.as_bytes())).await?;
            let refusal = answer.refusal().expect("a refusal");
            expect_invalid(Protocol::HttpJson, refusal);
            for part in
                ["malformed OTLP/JSON", "at line 2 column 21", "in resourceSpans[1].scopeSpans[0].spans[0].name"]
            {
                assert!(refusal.message.contains(part), "no {part} in {}", refusal.message);
            }
            Ok(())
        })
        .await
}

#[tokio::test]
async fn broken_compression_is_refused() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?.export_grpc("sink", &sink);
    setup
        .run(async |proxy| {
            let request = Generator::new(Profile::Small, 53).request(5).request;
            // It says gzip, but is not.
            let liar = proxy.http(Protocol::HttpProtobuf).header("content-encoding", "gzip")?;
            let answer = liar.send(&request).await?;
            expect_invalid(Protocol::HttpProtobuf, answer.refusal().expect("a refusal"));
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_small_body_that_inflates_beyond_the_limit_is_refused() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?.export_grpc("sink", &sink);
    setup
        .run(async |proxy| {
            let bomb = Bytes::from(vec![0_u8; 512 << 20]);
            for compression in [Compression::Gzip, Compression::Zstd] {
                let packed = compression.pack(&bomb)?;
                let client = proxy.http(Protocol::HttpProtobuf).header("content-encoding", compression.name())?;
                let answer = client.send_bytes(packed).await?;
                let refusal = answer.refusal().expect("a refusal");
                assert!(matches!(refusal.http, 400 | 413), "{refusal:?}");
                assert!(!refusal.is_retryable(), "{refusal:?}");
            }
            let made = Generator::new(Profile::Small, 54).request(5);
            assert!(proxy.grpc().send(&made.request).await?.is_whole());
            Ok(())
        })
        .await
}

#[tokio::test]
async fn spans_with_invalid_ids_are_rejected_alone() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?.export_grpc("sink", &sink);
    setup
        .run(async |proxy| {
            let mut made = Generator::new(Profile::Small, 55).mix(Mix::PLAIN).request(10);
            let spans = &mut made.request.resource_spans[0].scope_spans[0].spans;
            spans[3].trace_id.pop();
            spans[7].span_id.clear();
            let answer = proxy.grpc().send(&made.request).await?;
            assert!(matches!(answer, harness::Answer::Accepted { rejected: 2, .. }), "{answer:?}");
            sink.wait_for_spans(8).await?;
            let accounts = proxy.settled().await?;
            assert_eq!((accounts.door.received, accounts.door.refused, accounts.door.admitted), (10, 2, 8));
            Ok(())
        })
        .await
}

#[tokio::test]
async fn an_empty_request_is_accepted_and_leads_nowhere() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?.export_grpc("sink", &sink);
    setup
        .run(async |proxy| {
            for protocol in PROTOCOLS {
                assert!(
                    client(proxy, protocol).send(&ExportTraceServiceRequest::default()).await?.is_whole(),
                    "{protocol:?}"
                );
            }
            assert_eq!(proxy.settled().await?.door.received, 0);
            assert_eq!(sink.arrivals(|arrivals| arrivals.calls), 0);
            Ok(())
        })
        .await
}

#[tokio::test]
async fn metrics_and_logs_are_told_that_they_are_not_served() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?.export_grpc("sink", &sink);
    setup
        .run(async |proxy| {
            for path in ["/v1/metrics", "/v1/logs", "/elsewhere"] {
                let answer = fetch::post(&format!("http://{}{path}", proxy.ports().http), "").await?;
                assert_eq!(answer.status.as_u16(), 404, "{path}: {answer:?}");
            }
            let answer = fetch::get(&format!("http://{}/v1/traces", proxy.ports().http)).await?;
            assert_eq!(answer.status.as_u16(), 405, "{answer:?}");
            let metrics = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
            let answer = proxy.grpc().at(metrics).send_bytes(Bytes::new()).await?;
            assert_eq!(answer.refusal().map(|refusal| refusal.code), Some(UNIMPLEMENTED), "{answer:?}");
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_request_of_many_spans_arrives_whole() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?.export_grpc("sink", &sink).plugin("10-drop-health", "drop-health")?;
    setup
        .run(async |proxy| {
            // More than a call to a plugin shows at once.
            let made = Generator::new(Profile::Small, 56).mix(Mix::PLAIN).request(10_000);
            assert!(made.request.encoded_len() > 2 << 20);
            let answer = proxy.grpc().send(&made.request).await?;
            assert!(answer.is_whole(), "{answer:?}");
            sink.wait_for_spans(10_000).await?;
            sink.arrivals(|arrivals| assert!(made.ids.iter().all(|id| arrivals.ids[id].times == 1)));
            Ok(())
        })
        .await
}
