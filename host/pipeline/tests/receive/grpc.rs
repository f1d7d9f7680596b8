//! The checklist's G items that need no back end.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use otlp::signal::Signal;
use tracemill_pipeline::request::{Accepted, Refusal};

use super::support::{Server, assert_nothing_else_is_held, gzip, request, start, zstd};

pub const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

pub type Client = SendRequest<Full<Bytes>>;

pub async fn connect(server: &Server) -> Client {
    let stream = tokio::net::TcpStream::connect(server.grpc).await.unwrap();
    let (client, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(1 << 20)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

pub fn frame(flag: u8, message: &[u8]) -> Bytes {
    [&[flag][..], &(message.len() as u32).to_be_bytes(), message].concat().into()
}

pub fn call(path: &str, headers: &[(&'static str, &str)], body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::post(format!("http://tracemill{path}")).header("te", "trailers");
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        request = request.header("content-type", "application/grpc");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body)).unwrap()
}

pub struct Reply {
    pub http: u16,
    status: Option<String>,
    pub message: String,
    pub body: Bytes,
    pub headers: HeaderMap,
}

pub async fn read(response: Response<Incoming>) -> Reply {
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap();
    let mut headers = head.headers;
    headers.extend(body.trailers().cloned().unwrap_or_default());
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let (status, message) = (text("grpc-status"), text("grpc-message").unwrap_or_default());
    Reply { http: head.status.as_u16(), status, message, body: body.to_bytes(), headers }
}

pub async fn send(client: &mut Client, headers: &[(&'static str, &str)], body: Bytes) -> Reply {
    client.ready().await.unwrap();
    read(client.send_request(call(EXPORT, headers, body)).await.unwrap()).await
}

pub fn status(reply: &Reply) -> &str {
    reply.status.as_deref().unwrap_or("none")
}

#[tokio::test]
async fn g01_a_valid_request_is_answered_an_empty_message() {
    let server = start(|_| {}).await;
    let mut client = connect(&server).await;
    let reply = send(&mut client, &[], frame(0, &request(100))).await;
    assert_eq!((reply.http, status(&reply), &reply.body[..]), (200, "0", &[0; 5][..]));
    assert_eq!(server.handler.bodies(), [request(100)]);
    let peer = server.handler.requests.lock()[0].context.peer.clone();
    assert_eq!(&*peer, "127.0.0.1");
}

#[tokio::test]
async fn g02_every_encoding_and_plain_messages_under_a_declared_one_are_taken() {
    let server = start(|_| {}).await;
    let mut client = connect(&server).await;
    let plain = request(300_000);
    for (name, flag, body) in [
        ("identity", 0, plain.clone()),
        ("gzip", 1, gzip(&plain)),
        ("gzip", 0, plain.clone()),
        ("zstd", 1, zstd(&plain)),
        // g17: all members.
        ("gzip", 1, [gzip(&plain[..1000]), gzip(&plain[1000..])].concat()),
    ] {
        let reply = send(&mut client, &[("grpc-encoding", name)], frame(flag, &body)).await;
        assert_eq!(status(&reply), "0", "{name} {flag}: {}", reply.message);
    }
    assert_eq!(server.handler.bodies(), vec![plain; 5]);
    server.handler.requests.lock().clear();
    assert_eq!(server.budget.used(), 0);
}

#[tokio::test]
async fn a_message_keeps_nothing_of_the_buffer_that_it_came_in() {
    let server = start(|_| {}).await;
    let mut client = connect(&server).await;
    for len in [100_000, 300, 9000, 20] {
        assert_eq!(status(&send(&mut client, &[], frame(0, &request(len))).await), "0");
    }
    let requests = std::mem::take(&mut *server.handler.requests.lock());
    assert_eq!(requests.len(), 4);
    requests.into_iter().for_each(assert_nothing_else_is_held);
}

#[tokio::test]
async fn g04_one_byte_over_the_limit_is_resource_exhausted_without_a_delay() {
    let server = start(|config| config.max_request_bytes = 10_000).await;
    let mut client = connect(&server).await;
    let fits = vec![7; 10_000];
    let over = vec![7; 10_001];
    for (name, flag, fit, not) in [
        ("identity", 0, fits.clone(), over.clone()),
        ("gzip", 1, gzip(&fits), gzip(&over)),
        ("zstd", 1, zstd(&fits), zstd(&over)),
    ] {
        assert_eq!(status(&send(&mut client, &[("grpc-encoding", name)], frame(flag, &fit)).await), "0");
        let reply = send(&mut client, &[("grpc-encoding", name)], frame(flag, &not)).await;
        assert_eq!(status(&reply), "8", "{name}");
        assert!(!reply.headers.contains_key("grpc-status-details-bin"));
    }
    assert_eq!(server.handler.bodies(), vec![fits; 3]);
}

#[tokio::test]
async fn g05_an_empty_message_is_taken() {
    let server = start(|_| {}).await;
    let reply = send(&mut connect(&server).await, &[], frame(0, &[])).await;
    assert_eq!(status(&reply), "0");
    assert_eq!(server.handler.bodies(), [Vec::<u8>::new()]);
}

#[tokio::test]
async fn g06_what_the_handler_calls_malformed_is_invalid_argument() {
    let server = start(|_| {}).await;
    *server.handler.answer.lock() = Err(Refusal::malformed("no span: 50 % ünknown"));
    let reply = send(&mut connect(&server).await, &[], frame(0, b"x")).await;
    assert_eq!((status(&reply), &*reply.message), ("3", "no span: 50 %25 %C3%BCnknown"));
}

#[tokio::test]
async fn g07_a_full_budget_is_unavailable_with_a_delay_until_room_comes_back() {
    let server = start(|config| config.max_in_flight_bytes = 10_000).await;
    let mut client = connect(&server).await;
    let taken = server.budget.take(5000).unwrap();
    let reply = send(&mut client, &[], frame(0, &[1; 6000])).await;
    assert_eq!(status(&reply), "14");
    assert!(reply.headers.contains_key("grpc-status-details-bin"));
    // Inflated sizes count as well.
    let reply = send(&mut client, &[("grpc-encoding", "gzip")], frame(1, &gzip(&[1; 6000]))).await;
    assert_eq!(status(&reply), "14");
    assert!(
        server
            .metrics()
            .contains("tracemill_refused_requests_total{protocol=\"grpc\",signal=\"traces\",reason=\"no_room\"} 2")
    );
    drop(taken);
    assert_eq!(status(&send(&mut client, &[], frame(0, &[1; 6000])).await), "0");
    // The request still holds its room: that is what the permit in it is for.
    assert_eq!(server.budget.used(), 6000);
    assert!(server.metrics().contains("tracemill_receive_in_flight_bytes 6000"), "{}", server.metrics());
}

#[tokio::test]
async fn g10_rejected_spans_are_told() {
    let server = start(|_| {}).await;
    *server.handler.answer.lock() = Ok(Accepted { rejected: 3, message: "bad".to_owned() });
    let reply = send(&mut connect(&server).await, &[], frame(0, b"")).await;
    assert_eq!((status(&reply), &reply.body[..]), ("0", &b"\x00\x00\x00\x00\x09\x0a\x07\x08\x03\x12\x03bad"[..]));
}

#[tokio::test]
async fn g13_g15_what_is_not_offered_is_unimplemented_and_broken_framing_internal() {
    let server = start(|_| {}).await;
    *server.handler.takes.lock() = vec![Signal::Traces];
    let mut client = connect(&server).await;
    let reply = send(&mut client, &[("grpc-encoding", "snappy")], frame(1, b"x")).await;
    assert_eq!(status(&reply), "12");
    assert_eq!(reply.headers["grpc-accept-encoding"], "identity,gzip,zstd");
    assert_eq!(status(&send(&mut client, &[], frame(1, b"x")).await), "13");
    assert_eq!(status(&send(&mut client, &[], frame(2, b"x")).await), "13");
    for path in ["/x.Y/Z", "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"] {
        client.ready().await.unwrap();
        let reply = read(client.send_request(call(path, &[], frame(0, b""))).await.unwrap()).await;
        assert_eq!((reply.http, status(&reply)), (200, "12"), "{path}");
    }
    let reply = send(&mut client, &[("content-type", "application/grpc+proto")], frame(0, b"")).await;
    assert_eq!(status(&reply), "0");
    assert_eq!(send(&mut client, &[("content-type", "application/json")], frame(0, b"")).await.http, 415);
}

#[tokio::test]
async fn g14_a_hundred_calls_on_one_connection_all_succeed() {
    let server = start(|_| {}).await;
    let client = connect(&server).await;
    let calls = (0..150).map(|at| {
        let mut client = client.clone();
        async move { send(&mut client, &[], frame(0, &request(at * 997))).await }
    });
    for reply in futures_util::future::join_all(calls).await {
        assert_eq!(status(&reply), "0");
    }
    assert_eq!(server.handler.requests.lock().len(), 150);
}

#[tokio::test]
async fn g16_a_deadline_is_kept_and_gives_its_room_back() {
    let server = start(|_| {}).await;
    server.handler.gate.forget_permits(usize::MAX);
    let mut client = connect(&server).await;
    let reply = send(&mut client, &[("grpc-timeout", "20m")], frame(0, &[1; 100])).await;
    assert_eq!(status(&reply), "4");
    assert_eq!(server.budget.used(), 0);
}

/// A body of which nothing ever comes.
struct Never;

impl Body for Never {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_unavailable_and_gives_its_room_back() {
    let server = start(|config| config.body_timeout = Duration::from_millis(30)).await;
    let stream = tokio::net::TcpStream::connect(server.grpc).await.unwrap();
    let (mut client, connection) =
        http2::Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = call(EXPORT, &[], Bytes::new()).map(|_| Never);
    let reply = read(client.send_request(request).await.unwrap()).await;
    assert_eq!(status(&reply), "14", "{}", reply.message);
    assert_eq!(server.budget.used(), 0);
    let counted = "tracemill_refused_requests_total{protocol=\"grpc\",signal=\"traces\",reason=\"slow_body\"} 1";
    assert!(server.metrics().contains(counted), "{}", server.metrics());
}

#[tokio::test]
async fn g17_trailing_junk_and_cut_off_messages_are_invalid_arguments() {
    let server = start(|_| {}).await;
    let mut client = connect(&server).await;
    let good = gzip(&request(1000));
    for bad in [&[&good[..], b"junk"].concat(), &good[..good.len() - 1]] {
        assert_eq!(status(&send(&mut client, &[("grpc-encoding", "gzip")], frame(1, bad)).await), "3");
    }
    let two = [frame(0, b"a"), frame(0, b"b")].concat().into();
    assert_eq!(status(&send(&mut client, &[], two).await), "3");
    let cut = frame(0, b"abcdef").slice(..8);
    assert_eq!(status(&send(&mut client, &[], cut).await), "3");
    assert_eq!(status(&send(&mut client, &[], Bytes::new()).await), "3");
    assert!(server.handler.bodies().is_empty());
    assert_eq!(server.budget.used(), 0);
}

#[tokio::test]
async fn g18_calls_in_flight_are_answered_on_shutdown_and_no_new_ones_taken() {
    let server = start(|_| {}).await;
    server.handler.gate.forget_permits(usize::MAX);
    let client = connect(&server).await;
    let mut first = client.clone();
    let in_flight = tokio::spawn(async move { send(&mut first, &[], frame(0, b"abc")).await });
    server.handler.arrived.acquire().await.unwrap().forget();
    server.shutdown.cancel();
    server.handler.gate.add_permits(1);
    assert_eq!(status(&in_flight.await.unwrap()), "0");
    tokio::time::timeout(Duration::from_secs(20), server.serving).await.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(server.grpc).await.is_err());
}

#[tokio::test]
async fn a_handler_that_refuses_is_asked_before_the_body_and_kept_headers_travel() {
    let server = start(|config| {
        config.tenant_header = Some("x-scope-orgid".parse().unwrap());
        config.keep_headers = vec!["x-team".parse().unwrap()];
    })
    .await;
    let mut client = connect(&server).await;
    *server.handler.refuses.lock() = Some(Refusal::unavailable(Duration::from_secs(2), "starting"));
    let reply = send(&mut client, &[], frame(0, b"abc")).await;
    assert_eq!((status(&reply), &*reply.message), ("14", "starting"));
    *server.handler.refuses.lock() = None;
    let headers = [("x-scope-orgid", "acme"), ("x-team", "a\u{e9}"), ("x-other", "no")];
    assert_eq!(status(&send(&mut client, &headers, frame(0, b"abc")).await), "0");
    let context = server.handler.requests.lock()[0].context.clone();
    assert_eq!(context.tenant.as_deref(), Some("acme"));
    assert_eq!(context.headers, [("x-team".into(), "a\u{e9}".into())]);
}
