//! Connections: in which HTTP they speak, how they are kept, how many there are, and how they end.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::frames::{ACK, Frames, PING};
use super::grpc;
use super::http1::{PROTOBUF, connect, post, raw, read};
use super::support::{Server, request, start};
use super::wait::until;

const PATIENCE: Duration = Duration::from_secs(20);

/// Everything that the server still sends until it closes the connection.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    // A reset ends a connection as well.
    drop(end.expect("the server closes the connection"));
    rest
}

#[tokio::test]
async fn http2_is_spoken_to_whoever_begins_with_it() {
    let server = start(|_| {}).await;
    let stream = TcpStream::connect(server.http).await.unwrap();
    let (client, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let calls = (0..20).map(|at| {
        let mut client = client.clone();
        async move {
            client.ready().await.unwrap();
            let post = Request::post("http://tracemill/v1/traces").header("content-type", PROTOBUF);
            client.send_request(post.body(Full::<Bytes>::from(request(at * 9_973))).unwrap()).await.unwrap().status()
        }
    });
    assert!(futures_util::future::join_all(calls).await.iter().all(|status| *status == 200));
    assert_eq!(server.handler.requests.lock().len(), 20);
}

#[tokio::test]
async fn an_upgrade_to_http2_is_declined_and_the_request_taken() {
    let server = start(|_| {}).await;
    let mut stream = connect(&server).await;
    let upgrade = ["connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: AAMAAABkAAQAoAAAAAIAAAAA"];
    let reply = post(&mut stream, PROTOBUF, &upgrade, b"").await;
    assert_eq!(reply.code, 200);
    assert!(!reply.head.contains("upgrade"), "{}", reply.head);
    assert_eq!(post(&mut stream, PROTOBUF, &[], b"").await.code, 200);
    assert_eq!(server.handler.requests.lock().len(), 2);
}

#[tokio::test]
async fn grpc_over_http1_is_not_taken_for_its_sender_could_not_read_the_answer() {
    let server = start(|_| {}).await;
    let mut stream = TcpStream::connect(server.grpc).await.unwrap();
    let line = "POST /opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let framed = grpc::frame(0, &request(10));
    stream.write_all(&raw(line, &["content-type: application/grpc", "te: trailers"], &framed)).await.unwrap();
    assert_eq!(read(&mut stream).await.code, 505);
    assert!(server.handler.bodies().is_empty());
}

#[tokio::test]
async fn http1_keeps_connections_unless_the_client_does_not_want_to() {
    let server = start(|_| {}).await;
    let mut stream = connect(&server).await;
    for _ in 0..5 {
        assert_eq!(post(&mut stream, PROTOBUF, &[], &request(100)).await.code, 200);
    }
    assert_eq!(post(&mut stream, PROTOBUF, &["connection: close"], b"").await.code, 200);
    assert!(rest(&mut stream).await.is_empty());
    let old = "POST /v1/traces HTTP/1.0\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n";
    let mut stream = connect(&server).await;
    stream.write_all(format!("{old}connection: keep-alive\r\n\r\n{old}\r\n").as_bytes()).await.unwrap();
    assert_eq!(read(&mut stream).await.code, 200);
    assert_eq!(read(&mut stream).await.code, 200);
    assert!(rest(&mut stream).await.is_empty());
    assert_eq!(server.handler.requests.lock().len(), 8);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let server = start(|_| {}).await;
    let mut stream = connect(&server).await;
    let kind = [&*format!("content-type: {PROTOBUF}")];
    let sizes: Vec<usize> = (0..60).map(|at| at * 1_013).collect();
    let all = sizes.iter().enumerate().map(|(at, size)| {
        let path = if at % 3 == 0 { "POST /elsewhere" } else { "POST /v1/traces" };
        raw(path, &kind, &request(*size))
    });
    let all = all.collect::<Vec<_>>().concat();
    let (mut reading, mut writing) = stream.split();
    let replies = async {
        let mut codes = Vec::new();
        for _ in &sizes {
            codes.push(read(&mut reading).await.code);
        }
        codes
    };
    let (written, codes) = tokio::join!(writing.write_all(&all), replies);
    written.unwrap();
    let expected: Vec<u16> = (0..60).map(|at| if at % 3 == 0 { 404 } else { 200 }).collect();
    assert_eq!(codes, expected);
    let taken: Vec<_> =
        sizes.iter().enumerate().filter(|(at, _)| at % 3 != 0).map(|(_, size)| request(*size)).collect();
    assert_eq!(server.handler.bodies(), taken);
}

#[tokio::test]
async fn an_http2_client_that_answers_no_ping_is_given_up_and_one_that_does_is_kept() {
    let server = start(|config| {
        config.keep_alive = Duration::from_millis(20);
        config.header_timeout = Duration::from_millis(500);
        config.max_connections = 2;
    })
    .await;
    let (mut alive, mut dead) = (Frames::connect(server.grpc).await, Frames::connect(server.grpc).await);
    let mut pings = 0;
    let kept = async {
        loop {
            let ping = alive.next_of(PING).await.expect("a client that answers is kept");
            alive.write(PING, ACK, &ping.payload).await.unwrap();
            pings += 1;
        }
    };
    let given_up = async {
        assert!(dead.next_of(PING).await.is_some(), "an idle client is asked");
        while dead.next().await.is_some() {}
    };
    tokio::select! {
        () = kept => unreachable!("it never ends"),
        ended = tokio::time::timeout(PATIENCE, given_up) => ended.expect("a client that does not answer is given up"),
    }
    assert!(pings > 1, "{pings} pings");
    let counted = "tracemill_receive_cut_off_total{protocol=\"grpc\",reason=\"no_pong\"} 1";
    until("the count of it", || server.metrics().contains(counted)).await;
    // Its place is free again.
    let reply = grpc::send(&mut grpc::connect(&server).await, &[], grpc::frame(0, b"")).await;
    assert_eq!(grpc::status(&reply), "0");
}

#[tokio::test]
async fn further_connections_wait_until_one_ends() {
    let server = start(|config| config.max_connections = 2).await;
    let (mut first, mut second) = (connect(&server).await, connect(&server).await);
    assert_eq!(post(&mut first, PROTOBUF, &[], b"").await.code, 200);
    assert_eq!(post(&mut second, PROTOBUF, &[], b"").await.code, 200);
    let mut third = connect(&server).await;
    third.write_all(&raw("POST /v1/traces", &["content-type: application/x-protobuf"], b"third")).await.unwrap();
    for _ in 0..100 {
        assert_eq!(post(&mut first, PROTOBUF, &[], b"").await.code, 200);
        assert_eq!(post(&mut second, PROTOBUF, &[], b"").await.code, 200);
    }
    assert!(!server.handler.bodies().contains(&b"third".to_vec()), "a third connection was served");
    // Each listener has places of its own.
    let reply = grpc::send(&mut grpc::connect(&server).await, &[], grpc::frame(0, b"")).await;
    assert_eq!(grpc::status(&reply), "0");
    drop(second);
    assert_eq!(tokio::time::timeout(PATIENCE, read(&mut third)).await.expect("its turn has come").code, 200);
    assert!(server.handler.bodies().contains(&b"third".to_vec()));
}

async fn ended(server: Server) {
    tokio::time::timeout(PATIENCE, server.serving).await.expect("the receivers end").unwrap();
}

#[tokio::test]
async fn calls_that_do_not_end_within_the_bound_are_cut_off_at_shutdown() {
    let server = start(|config| config.drain = Duration::from_millis(50)).await;
    server.handler.gate.forget_permits(usize::MAX);
    let mut http = connect(&server).await;
    http.write_all(&raw("POST /v1/traces", &["content-type: application/x-protobuf"], &request(100))).await.unwrap();
    let mut client = grpc::connect(&server).await;
    let call = tokio::spawn(async move {
        client.ready().await.unwrap();
        client.send_request(grpc::call(grpc::EXPORT, &[], grpc::frame(0, &request(100)))).await
    });
    server.handler.arrived.acquire_many(2).await.unwrap().forget();
    assert!(server.budget.used() > 0);
    let budget = server.budget.clone();
    server.shutdown.cancel();
    ended(server).await;
    assert!(rest(&mut http).await.is_empty());
    assert!(call.await.unwrap().is_err());
    assert_eq!(budget.used(), 0);
}

#[tokio::test]
async fn connections_without_a_call_do_not_hold_up_the_shutdown() {
    let server = start(|config| {
        config.drain = Duration::from_hours(1);
        config.header_timeout = Duration::from_hours(1);
    })
    .await;
    let mut idle = connect(&server).await;
    assert_eq!(post(&mut idle, PROTOBUF, &[], b"").await.code, 200);
    let mut quiet = grpc::connect(&server).await;
    assert_eq!(grpc::status(&grpc::send(&mut quiet, &[], grpc::frame(0, b"")).await), "0");
    let silent = connect(&server).await;
    let mut undecided = connect(&server).await;
    undecided.write_all(b"PRI * HT").await.unwrap();
    server.shutdown.cancel();
    ended(server).await;
    for mut stream in [idle, silent, undecided] {
        assert!(rest(&mut stream).await.is_empty());
    }
}

#[tokio::test]
async fn a_head_that_is_never_finished_does_not_outlive_the_bound_of_the_shutdown() {
    let server = start(|config| {
        config.drain = Duration::from_millis(50);
        config.header_timeout = Duration::from_hours(1);
    })
    .await;
    let mut slow = connect(&server).await;
    assert_eq!(post(&mut slow, PROTOBUF, &[], b"").await.code, 200);
    slow.write_all(b"POST /v1/traces HT").await.unwrap();
    server.shutdown.cancel();
    ended(server).await;
    rest(&mut slow).await;
}
