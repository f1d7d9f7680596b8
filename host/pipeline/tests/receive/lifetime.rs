//! How long connections live: at rest, with a head that is never finished, and in use until they are too old.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tracemill_pipeline::request::Refusal;

use super::frames::{Frames, GOAWAY};
use super::grpc;
use super::http1::{PROTOBUF, connect, post};
use super::support::{Server, request, start};

const PATIENCE: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_hours(1);
const SHORT: Duration = Duration::from_millis(100);

/// Waits until a connection is closed, after which nothing more was said on it.
async fn closed(stream: &mut (impl tokio::io::AsyncRead + Unpin)) {
    let mut rest = Vec::new();
    let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    assert!(end.expect("the server closes the connection").is_ok_and(|len| len == 0), "{rest:?}");
}

#[tokio::test]
async fn a_resting_http1_connection_outlives_the_time_for_a_head() {
    let server = start(|config| {
        config.header_timeout = SHORT;
        config.idle_timeout = LONG;
    })
    .await;
    let mut resting = connect(&server).await;
    assert_eq!(post(&mut resting, PROTOBUF, &[], b"first").await.code, 200);
    // Another connection that began to send later shows that the time for a head has passed, twice.
    for _ in 0..2 {
        let mut slow = connect(&server).await;
        slow.write_all(b"POST /v1/tra").await.unwrap();
        closed(&mut slow).await;
    }
    assert_eq!(post(&mut resting, PROTOBUF, &[], b"second").await.code, 200);
}

#[tokio::test]
async fn a_head_that_begins_after_a_rest_has_the_time_for_a_head_only() {
    let server = start(|config| {
        config.header_timeout = SHORT;
        config.idle_timeout = LONG;
    })
    .await;
    let mut stream = connect(&server).await;
    for body in [&b""[..], b"with a body"] {
        assert_eq!(post(&mut stream, PROTOBUF, &[], body).await.code, 200);
    }
    stream.write_all(b"POST /v1/traces HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    closed(&mut stream).await;
}

#[tokio::test]
async fn the_bytes_of_a_slow_head_do_not_make_its_time_longer() {
    let server = start(|config| {
        config.header_timeout = SHORT;
        config.idle_timeout = LONG;
    })
    .await;
    let (mut reading, mut writing) = connect(&server).await.into_split();
    let dripping = async {
        writing.write_all(b"POST /v1/traces HTTP/1.1\r\nx: ").await.unwrap();
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        while writing.write_all(b"a").await.is_ok() {
            tick.tick().await;
        }
    };
    let ended = async { while reading.read_u8().await.is_ok() {} };
    let both = async { tokio::join!(dripping, ended) };
    tokio::time::timeout(PATIENCE, both).await.expect("a head in drips is cut off");
}

#[tokio::test]
async fn a_connection_that_rests_too_long_is_closed() {
    let server = start(|config| {
        config.header_timeout = LONG;
        config.idle_timeout = SHORT;
    })
    .await;
    let mut stream = connect(&server).await;
    let since = Instant::now();
    assert_eq!(post(&mut stream, PROTOBUF, &[], &request(100)).await.code, 200);
    closed(&mut stream).await;
    assert!(since.elapsed() >= SHORT, "it was closed at once");
}

async fn aging() -> Server {
    start(|config| config.max_connection_age = Some(Duration::from_secs(1))).await
}

#[tokio::test]
async fn an_old_http1_connection_is_closed_with_an_answer_and_not_before() {
    let server = aging().await;
    let mut stream = connect(&server).await;
    let mut answers = 0;
    loop {
        let reply = post(&mut stream, PROTOBUF, &[], &request(100)).await;
        assert_eq!(reply.code, 200);
        answers += 1;
        if reply.head.contains("connection: close") {
            break;
        }
    }
    assert!(answers > 1, "it was old from the start");
    closed(&mut stream).await;
    assert_eq!(server.handler.bodies().len(), answers);
}

#[tokio::test]
async fn an_old_http2_connection_says_goaway_and_ends_when_its_calls_have() {
    let server = aging().await;
    let mut resting = Frames::connect(server.grpc).await;
    let said = tokio::time::timeout(PATIENCE, resting.next_of(GOAWAY)).await.expect("the server says so");
    // Error code 0: nothing went wrong.
    assert_eq!(said.expect("it says so before it closes").payload[4..8], [0; 4]);

    server.handler.gate.forget_permits(usize::MAX);
    let mut client = grpc::connect(&server).await;
    let calling = client.send_request(grpc::call(grpc::EXPORT, &[], grpc::frame(0, &request(100))));
    server.handler.arrived.acquire().await.unwrap().forget();
    // Further calls are answered until the client has been told.
    *server.handler.refuses.lock() = Some(Refusal::unavailable(Duration::from_secs(1), "busy"));
    let told = async { while client.send_request(grpc::call(grpc::EXPORT, &[], grpc::frame(0, b""))).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, told).await.expect("the client is told");
    server.handler.gate.add_permits(1);
    assert_eq!(calling.await.unwrap().status(), 200);
    assert_eq!(server.handler.bodies(), [request(100)]);
}
