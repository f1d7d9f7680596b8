//! Metrics and logs at their own places: as traces in all that a receiver decides, told apart in what it hands over.

use otlp::signal::Signal;
use prost::Message as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tracemill_pipeline::receive::Cors;
use tracemill_pipeline::request::Accepted;

use super::grpc::{call, frame, read as read_call, status};
use super::http1::{JSON, PROTOBUF, Reply, connect, raw, read};
use super::support::{gzip, request, start, zstd};
use super::{grpc, health};

/// Path, method, and the key under which JSON says that some were rejected.
const PLACES: [(Signal, &str, &str, &str); 3] = [
    (Signal::Traces, "/v1/traces", "trace.v1.TraceService", "rejectedSpans"),
    (Signal::Metrics, "/v1/metrics", "metrics.v1.MetricsService", "rejectedDataPoints"),
    (Signal::Logs, "/v1/logs", "logs.v1.LogsService", "rejectedLogRecords"),
];

async fn post(stream: &mut TcpStream, path: &str, kind: &str, more: &[&str], body: &[u8]) -> Reply {
    let kind = format!("content-type: {kind}");
    stream.write_all(&raw(&format!("POST {path}"), &[&[&*kind][..], more].concat(), body)).await.unwrap();
    read(stream).await
}

#[tokio::test]
async fn each_signal_comes_in_at_its_own_place_in_every_encoding() {
    let server = start(|_| {}).await;
    let (mut stream, mut client) = (connect(&server).await, grpc::connect(&server).await);
    let plain = request(200_000);
    for (signal, path, service, _) in PLACES {
        let bodies = [("identity", plain.clone()), ("gzip", gzip(&plain)), ("zstd", zstd(&plain))];
        for (encoding, body) in &bodies {
            let reply = post(&mut stream, path, PROTOBUF, &[&format!("content-encoding: {encoding}")], body).await;
            assert_eq!((reply.code, &reply.body[..]), (200, &b""[..]), "{path} {encoding}: {}", reply.text());
        }
        let method = format!("/opentelemetry.proto.collector.{service}/Export");
        for (encoding, body) in &bodies {
            client.ready().await.unwrap();
            let flag = u8::from(*encoding != "identity");
            let call = call(&method, &[("grpc-encoding", encoding)], frame(flag, body));
            let reply = read_call(client.send_request(call).await.unwrap()).await;
            assert_eq!((status(&reply), &reply.body[..]), ("0", &[0; 5][..]), "{method} {encoding}");
        }
        let came = std::mem::take(&mut *server.handler.requests.lock());
        assert_eq!(came.len(), 6);
        assert!(came.iter().all(|came| came.signal == signal && came.body == plain), "{signal}");
        let counted = server.metrics();
        for protocol in ["grpc", "http"] {
            let line = format!(r#"requests_total{{protocol="{protocol}",signal="{signal}",outcome="accepted"}} 3"#);
            assert!(counted.contains(&line), "{line}: {counted}");
        }
    }
}

#[tokio::test]
async fn json_is_that_of_the_signal_and_so_is_its_answer() {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    let server = start(|_| {}).await;
    let mut stream = connect(&server).await;
    let metrics = br#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[{"asInt":"5"}]}}]}]}]}"#;
    let logs = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"hello"}}]}]}]}"#;
    for (path, body) in [("/v1/metrics", &metrics[..]), ("/v1/logs", logs)] {
        let reply = post(&mut stream, path, JSON, &[], body).await;
        assert_eq!((reply.code, &*reply.text()), (200, "{}"));
    }
    let bodies = server.handler.bodies();
    let read = ExportMetricsServiceRequest::decode(&*bodies[0]).unwrap();
    assert_eq!(read.resource_metrics[0].scope_metrics[0].metrics[0].name, "m");
    let read = ExportLogsServiceRequest::decode(&*bodies[1]).unwrap();
    assert!(read.resource_logs[0].scope_logs[0].log_records[0].body.is_some());
    for (_, path, _, key) in PLACES {
        *server.handler.answer.lock() = Ok(Accepted { rejected: 3, message: "bad".to_owned() });
        let reply = post(&mut stream, path, JSON, &[], b"{}").await;
        assert_eq!(&*reply.text(), format!(r#"{{"partialSuccess":{{"errorMessage":"bad","{key}":"3"}}}}"#));
        let reply = post(&mut stream, path, JSON, &[], b"{nonsense").await;
        assert_eq!(reply.code, 400);
    }
}

#[tokio::test]
async fn limits_and_web_pages_are_those_of_traces() {
    let page = "origin: https://app.example";
    let server = start(|config| {
        config.max_request_bytes = 10_000;
        let origins = vec!["https://app.example".parse().unwrap()];
        config.cors = Some(Cors { origins, headers: Vec::new(), max_age: std::time::Duration::from_mins(10) });
    })
    .await;
    for (_, path, ..) in PLACES {
        let mut stream = connect(&server).await;
        let asked = ["access-control-request-method: POST", "access-control-request-headers: content-type"];
        stream.write_all(&raw(&format!("OPTIONS {path}"), &[&[page][..], &asked].concat(), b"")).await.unwrap();
        assert_eq!(read(&mut stream).await.code, 204, "{path}");
        let reply = post(&mut stream, path, PROTOBUF, &[page], &request(100)).await;
        assert!(reply.head.contains("access-control-allow-origin: https://app.example"), "{}", reply.head);
        let reply = post(&mut stream, path, PROTOBUF, &["content-encoding: gzip"], &gzip(&request(20_000))).await;
        assert_eq!(reply.code, 413, "{path}");
    }
    let held: usize = server.handler.requests.lock().iter().map(|held| held.permit.bytes()).sum();
    assert_eq!(server.budget.used(), held);
}

#[tokio::test]
async fn a_signal_that_nobody_takes_is_told_what_to_configure() {
    let server = start(|_| {}).await;
    *server.handler.takes.lock() = vec![Signal::Traces, Signal::Logs];
    let mut stream = connect(&server).await;
    let reply = post(&mut stream, "/v1/metrics", JSON, &[], b"{}").await;
    assert_eq!(reply.code, 404);
    assert!(reply.text().contains("signals: [metrics]"), "{}", reply.text());
    assert_eq!(post(&mut stream, "/v1/logs", JSON, &[], b"{}").await.code, 200);
    let mut client = grpc::connect(&server).await;
    let method = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    let reply = read_call(client.send_request(call(method, &[], frame(0, b""))).await.unwrap()).await;
    assert_eq!(status(&reply), "12");
    assert!(reply.message.contains("signals: [metrics]"), "{}", reply.message);

    let mut client = health::client(&server).await;
    let logs = health::about("opentelemetry.proto.collector.logs.v1.LogsService");
    assert!(health::call(&mut client, health::CHECK, logs).await.is_ok());
    let metrics = health::about("opentelemetry.proto.collector.metrics.v1.MetricsService");
    let error = health::call(&mut client, health::CHECK, metrics).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::NotFound);
}
