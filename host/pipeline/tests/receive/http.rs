//! The checklist's H items that need no back end, in raw HTTP/1.1.

use std::time::Duration;

use otlp::signal::Signal;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tracemill_pipeline::request::{Accepted, Refusal};

use super::support::{Server, assert_nothing_else_is_held, gzip, request, start, zstd};
use super::wait::until;

pub const PROTOBUF: &str = "application/x-protobuf";
pub const JSON: &str = "application/json";

pub struct Reply {
    pub code: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

pub async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.http).await.unwrap()
}

pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Reply {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head.split("content-length: ").nth(1).map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    Reply { code, head, body }
}

pub fn raw(line: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{line} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n", body.len());
    for header in headers {
        text += header;
        text += "\r\n";
    }
    [text.as_bytes(), b"\r\n", body].concat()
}

pub async fn post(stream: &mut TcpStream, kind: &str, more: &[&str], body: &[u8]) -> Reply {
    let kind = format!("content-type: {kind}");
    let headers = [&[&*kind][..], more].concat();
    stream.write_all(&raw("POST /v1/traces", &headers, body)).await.unwrap();
    read(stream).await
}

#[tokio::test]
async fn h01_h06_h12_h18_requests_of_all_encodings_share_a_connection() {
    let server = start(|_| {}).await;
    let mut stream = connect(&server).await;
    let plain = request(400_000);
    for (encoding, body) in [
        ("identity", plain.clone()),
        ("gzip", gzip(&plain)),
        ("zstd", zstd(&plain)),
        ("gzip", [gzip(&plain[..1000]), gzip(&plain[1000..])].concat()),
    ] {
        let reply = post(&mut stream, PROTOBUF, &[&format!("content-encoding: {encoding}")], &body).await;
        assert_eq!((reply.code, &reply.body[..]), (200, &b""[..]), "{encoding}: {}", reply.text());
        assert!(reply.head.contains("content-type: application/x-protobuf"));
    }
    assert_eq!(server.handler.bodies(), vec![plain; 4]);
    server.handler.requests.lock().clear();
    assert_eq!(server.budget.used(), 0);
}

#[tokio::test]
async fn a_body_keeps_nothing_of_the_buffer_that_it_came_in() {
    let server = start(|_| {}).await;
    let mut stream = connect(&server).await;
    // The large one makes the connection's buffer grow.
    for len in [200_000, 300, 70_000, 20] {
        assert_eq!(post(&mut stream, PROTOBUF, &[], &request(len)).await.code, 200);
    }
    // Their sizes are not told: the buffers grow by doubling.
    let unsized_zstd = zstd::stream::encode_all(&request(140_000)[..], 1).unwrap();
    assert_eq!(post(&mut stream, PROTOBUF, &["content-encoding: zstd"], &unsized_zstd).await.code, 200);
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: {PROTOBUF}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    for chunk in request(40_000).chunks(5000) {
        stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await.unwrap();
        stream.write_all(&[chunk, b"\r\n"].concat()).await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    assert_eq!(read(&mut stream).await.code, 200);
    let requests = std::mem::take(&mut *server.handler.requests.lock());
    assert_eq!(requests.len(), 6);
    requests.into_iter().for_each(assert_nothing_else_is_held);
}

#[tokio::test]
async fn h02_h04_h07_j12_json_is_taken_and_answered_as_json() {
    let server = start(|_| {}).await;
    let mut stream = connect(&server).await;
    let body = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708","name":"x"}]}]}]}"#;
    let reply = post(&mut stream, "Application/JSON; charset=utf-8", &[], body).await;
    assert_eq!((reply.code, &*reply.text()), (200, "{}"));
    let sent: opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest =
        prost::Message::decode(&*server.handler.bodies()[0]).unwrap();
    assert_eq!(sent.resource_spans[0].scope_spans[0].spans[0].trace_id, (1..=16).collect::<Vec<u8>>());
    for kind in [PROTOBUF, JSON] {
        assert_eq!(post(&mut stream, kind, &[], b"").await.code, 200);
    }
    *server.handler.answer.lock() = Ok(Accepted { rejected: 3, message: "bad".to_owned() });
    let reply = post(&mut stream, JSON, &[], b"{}").await;
    assert_eq!((reply.code, &*reply.text()), (200, r#"{"partialSuccess":{"errorMessage":"bad","rejectedSpans":"3"}}"#));
    let reply = post(&mut stream, JSON, &[], b"{nonsense").await;
    assert_eq!(reply.code, 400);
    assert!(reply.text().contains("\"code\":3"), "{}", reply.text());
}

#[tokio::test]
async fn h05_h09_what_is_not_offered_is_answered_with_a_status() {
    let server = start(|_| {}).await;
    *server.handler.takes.lock() = vec![Signal::Traces];
    let mut stream = connect(&server).await;
    let json = ["content-type: application/json"];
    for (line, headers, code) in [
        ("POST /v1/metrics", &json[..], 404),
        ("POST /v1/logs", &json, 404),
        ("POST /elsewhere", &json, 404),
        ("GET /v1/traces", &json, 405),
        ("POST /v1/traces", &[], 415),
        ("POST /v1/traces", &["content-type: text/plain"], 415),
        ("POST /v1/traces", &["content-type: application/json", "content-encoding: br"], 415),
    ] {
        stream.write_all(&raw(line, headers, b"{}")).await.unwrap();
        let reply = read(&mut stream).await;
        assert_eq!(reply.code, code, "{line}");
        assert!(reply.text().contains("\"message\":"), "{line}: {}", reply.text());
        assert!(reply.head.contains("content-type: application/json"));
        assert_eq!(reply.head.contains("allow: post"), code == 405);
    }
    assert!(server.handler.bodies().is_empty());
}

#[tokio::test]
async fn h04_header_values_that_are_not_ascii_are_an_error_answer() {
    let server = start(|_| {}).await;
    let mut stream = connect(&server).await;
    let text = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\ncontent-type: \xe9\xff\r\n\r\n";
    stream.write_all(text).await.unwrap();
    assert_eq!(read(&mut stream).await.code, 415);
    assert_eq!(post(&mut stream, PROTOBUF, &[], b"").await.code, 200);
}

#[tokio::test]
async fn h11_h13_too_large_is_413_and_broken_gzip_400() {
    let server = start(|config| config.max_request_bytes = 10_000).await;
    let over = vec![7; 10_001];
    for (encoding, body) in [("identity", over.clone()), ("gzip", gzip(&over)), ("zstd", zstd(&over))] {
        let mut stream = connect(&server).await;
        let reply = post(&mut stream, PROTOBUF, &[&format!("content-encoding: {encoding}")], &body).await;
        assert_eq!(reply.code, 413, "{encoding}");
        assert!(!reply.head.contains("retry-after"));
    }
    let good = gzip(&request(1000));
    let mut stream = connect(&server).await;
    for bad in [&good[..good.len() - 1], &[&good[..], b"junk"].concat()] {
        assert_eq!(post(&mut stream, PROTOBUF, &["content-encoding: gzip"], bad).await.code, 400);
    }
    assert_eq!(server.budget.used(), 0);
}

#[tokio::test]
async fn h14_no_room_and_not_ready_are_503_with_whole_seconds() {
    let server = start(|config| config.max_in_flight_bytes = 10_000).await;
    let mut stream = connect(&server).await;
    let taken = server.budget.take(9000).unwrap();
    let reply = post(&mut stream, PROTOBUF, &[], &[1; 2000]).await;
    assert_eq!(reply.code, 503);
    assert!(reply.head.contains("retry-after: 1\r\n"));
    drop(taken);
    *server.handler.refuses.lock() = Some(Refusal::unavailable(Duration::from_millis(1500), "starting"));
    let reply = post(&mut stream, JSON, &[], b"{}").await;
    assert_eq!(reply.code, 503);
    assert!(reply.head.contains("retry-after: 2\r\n"));
    assert!(reply.text().contains("\"retryDelay\":\"1.500000000s\""), "{}", reply.text());
    *server.handler.refuses.lock() = None;
    assert_eq!(post(&mut stream, PROTOBUF, &[], &[1; 2000]).await.code, 200);
}

#[tokio::test]
async fn h14_no_room_is_answered_before_the_body_is_sent() {
    let server = start(|config| config.max_in_flight_bytes = 10_000).await;
    let _taken = server.budget.take(9000).unwrap();
    let mut stream = connect(&server).await;
    let head =
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 2000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let reply = read(&mut stream).await;
    assert_eq!(reply.code, 503);
    assert!(reply.head.contains("retry-after: 1\r\n"), "{}", reply.head);
}

#[tokio::test]
async fn h18_chunked_pipelined_and_expecting_requests_are_taken() {
    let server = start(|_| {}).await;
    let mut stream = connect(&server).await;
    let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n";
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    stream.write_all(format!("{chunked}{chunked}").as_bytes()).await.unwrap();
    assert_eq!(read(&mut stream).await.code, 200);
    assert_eq!(read(&mut stream).await.code, 200);
    stream.write_all(format!("{head}expect: 100-continue\r\ncontent-length: 3\r\n\r\n").as_bytes()).await.unwrap();
    assert_eq!(read(&mut stream).await.code, 100);
    stream.write_all(b"xyz").await.unwrap();
    assert_eq!(read(&mut stream).await.code, 200);
    assert_eq!(server.handler.bodies(), [b"abcde".to_vec(), b"abcde".to_vec(), b"xyz".to_vec()]);
}

#[tokio::test]
async fn h20_slow_bodies_and_silent_connections_end_and_give_their_room_back() {
    let server = start(|config| {
        config.body_timeout = Duration::from_millis(30);
        config.header_timeout = Duration::from_millis(30);
    })
    .await;
    let mut slow = connect(&server).await;
    let whole = raw("POST /v1/traces", &["content-type: application/x-protobuf"], &vec![1; 2_000_000]);
    slow.write_all(&whole[..1000]).await.unwrap();
    assert_eq!(read(&mut slow).await.code, 503);
    assert_eq!(server.budget.used(), 0);
    let counted = "tracemill_refused_requests_total{protocol=\"http\",signal=\"traces\",reason=\"slow_body\"} 1";
    assert!(server.metrics().contains(counted), "{}", server.metrics());
    for start in [&b""[..], b"P", b"POST /v1/tr"] {
        let mut silent = connect(&server).await;
        silent.write_all(start).await.unwrap();
        let mut rest = Vec::new();
        silent.read_to_end(&mut rest).await.unwrap();
    }
}

#[tokio::test]
async fn h20_a_client_that_leaves_in_mid_body_gives_its_room_back() {
    let server = start(|_| {}).await;
    let mut leaving = connect(&server).await;
    let whole = raw("POST /v1/traces", &["content-type: application/x-protobuf"], &vec![1; 100_000]);
    leaving.write_all(&whole[..50_000]).await.unwrap();
    until("a body under way", || server.budget.used() > 0).await;
    drop(leaving);
    until("its room", || server.budget.used() == 0).await;
    assert!(server.handler.bodies().is_empty());
}

#[tokio::test]
async fn h20_a_body_over_the_limit_is_refused_before_it_is_sent() {
    let server = start(|_| {}).await;
    let mut stream = connect(&server).await;
    let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 67108865\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(read(&mut stream).await.code, 413);
}
