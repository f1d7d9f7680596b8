//! Whoever is too slow, too large or too many: cut off, counted by reason, and logged.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::frames::{CONTINUATION, END_HEADERS, Frames, GOAWAY, HEADERS, POST, RST_STREAM, frame};
use super::grpc;
use super::http1::{PROTOBUF, connect, post, raw, read};
use super::log::Log;
use super::support::{Server, gzip, request, start, zstd};
use super::wait::until;

const PATIENCE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(100);
const ENHANCE_YOUR_CALM: u32 = 11;
const REFUSED_STREAM: u32 = 7;

/// How many were cut off for this reason.
fn cut(server: &Server, protocol: &str, reason: &str) -> u64 {
    let series = format!("tracemill_receive_cut_off_total{{protocol=\"{protocol}\",reason=\"{reason}\"}} ");
    let metrics = server.metrics();
    let line = metrics.lines().find_map(|line| line.strip_prefix(&series));
    line.expect("the series is there from the start").parse().unwrap()
}

async fn until_closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    // A reset ends a connection as well.
    drop(end.expect("the server closes the connection"));
}

/// Waits until so many were cut off: the server counts when its side of the connection has ended.
async fn counted(server: &Server, protocol: &str, reason: &str, times: u64) {
    until(reason, || cut(server, protocol, reason) >= times).await;
    assert_eq!(cut(server, protocol, reason), times, "{reason}");
}

#[tokio::test]
async fn silent_and_slow_senders_are_cut_off_and_resting_ones_are_not() {
    let log = Log::listen();
    let server = start(|config| {
        config.header_timeout = SHORT;
        config.idle_timeout = SHORT;
    })
    .await;
    let mut resting = connect(&server).await;
    assert_eq!(post(&mut resting, PROTOBUF, &[], b"").await.code, 200);
    until_closed(&mut resting).await;
    drop(connect(&server).await);
    for (start, reason) in [(&b""[..], "silent"), (&b"PRI * HT"[..], "slow_head"), (&b"POST /v1/tr"[..], "slow_head")] {
        let mut stream = connect(&server).await;
        stream.write_all(start).await.unwrap();
        until_closed(&mut stream).await;
        let times = 1 + u64::from(start.starts_with(b"POST"));
        counted(&server, "http", reason, times).await;
    }
    let log = log.text();
    assert!(log.contains("nothing was sent within `limits.header_timeout`"), "{log}");
    // Once, not twice: the second line of a kind is left out.
    assert_eq!(log.matches("headers took longer").count(), 1, "{log}");
    assert!(log.contains("reason=\"slow_head\"") && log.contains("127.0.0.1"), "{log}");
}

#[tokio::test]
async fn what_is_no_http_is_cut_off() {
    let server = start(|_| {}).await;
    let mut stream = connect(&server).await;
    stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await.unwrap();
    until_closed(&mut stream).await;
    counted(&server, "http", "malformed", 1).await;
    let mut frames = Frames::connect(server.grpc).await;
    // Data on a stream that nobody has opened.
    frames.write_all([frame(0, 0, 1, b"x")]).await.unwrap();
    assert!(frames.next_of(GOAWAY).await.is_some());
    counted(&server, "grpc", "malformed", 1).await;
}

#[tokio::test]
async fn large_headers_are_counted_in_both_versions_of_http() {
    let server = start(|_| {}).await;
    let long = "a".repeat(40 << 10);
    let mut stream = connect(&server).await;
    stream.write_all(&raw("POST /v1/traces", &[&format!("x-long: {long}")], b"")).await.unwrap();
    assert_eq!(read(&mut stream).await.code, 431);
    drop(stream);
    counted(&server, "http", "large_head", 1).await;
    let mut client = grpc::connect(&server).await;
    let reply = grpc::send(&mut client, &[("x-long", &long)], grpc::frame(0, b"")).await;
    assert_eq!(reply.http, 431);
    counted(&server, "grpc", "large_head", 1).await;
    assert_eq!(grpc::status(&grpc::send(&mut client, &[], grpc::frame(0, b"")).await), "0");
}

#[tokio::test]
async fn more_calls_at_once_than_the_limit_are_refused_one_by_one() {
    let log = Log::listen();
    let server = start(|config| config.max_streams = 3).await;
    let mut frames = Frames::connect(server.grpc).await;
    frames.write_all((0..5).map(|at| frame(HEADERS, END_HEADERS, 1 + 2 * at, POST))).await.unwrap();
    for stream in [7, 9] {
        let reset = frames.next_of(RST_STREAM).await.unwrap();
        assert_eq!((reset.stream, reset.error()), (stream, REFUSED_STREAM));
    }
    counted(&server, "grpc", "too_many_streams", 2).await;
    assert!(log.text().contains("more were opened at once than `limits.streams`"), "{}", log.text());
}

#[tokio::test]
async fn a_rapid_reset_ends_the_connection() {
    let log = Log::listen();
    let server = start(|_| {}).await;
    let mut frames = Frames::connect(server.grpc).await;
    let cancel = 8_u32.to_be_bytes();
    let pair = |at: u32| [frame(HEADERS, END_HEADERS, 1 + 2 * at, POST), frame(RST_STREAM, 0, 1 + 2 * at, &cancel)];
    frames.write_all((0..1000).flat_map(pair)).await.unwrap();
    let goaway = tokio::time::timeout(PATIENCE, frames.next_of(GOAWAY)).await.unwrap().expect("it is told");
    assert_eq!(goaway.error(), ENHANCE_YOUR_CALM);
    counted(&server, "grpc", "flood", 1).await;
    assert!(log.text().contains("flooded"), "{}", log.text());
    assert_eq!(server.budget.used(), 0);
}

#[tokio::test]
async fn headers_that_never_end_end_the_connection() {
    let server = start(|_| {}).await;
    let mut frames = Frames::connect(server.http).await;
    let never = std::iter::repeat_with(|| frame(CONTINUATION, 0, 1, &[])).take(10_000);
    // It may be gone before all are written.
    let _gone = frames.write_all(std::iter::once(frame(HEADERS, 0, 1, POST)).chain(never)).await;
    counted(&server, "http", "flood", 1).await;
}

#[tokio::test]
async fn whoever_does_not_take_answers_is_cut_off() {
    let server = start(|config| config.header_timeout = SHORT).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(server.http).await.unwrap();
    let many = raw("POST /elsewhere", &[], b"").repeat(1000);
    let sending = async { while stream.write_all(&many).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, sending).await.expect("the server closes the connection");
    counted(&server, "http", "stalled", 1).await;
}

#[tokio::test]
async fn one_address_does_not_take_all_connections() {
    let server = start(|config| config.max_connections = 90).await;
    let mut greedy = Vec::new();
    for _ in 0..89 {
        greedy.push(connect(&server).await);
    }
    counted(&server, "http", "unfair_share", 89 - 60).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 2], 0))).unwrap();
    let mut other = socket.connect(server.http).await.unwrap();
    assert_eq!(post(&mut other, PROTOBUF, &[], b"").await.code, 200);
    drop(greedy);
}

#[tokio::test]
async fn bombs_are_refused_with_flat_memory_on_both_protocols() {
    let log = Log::listen();
    let server = start(|config| config.max_request_bytes = 1 << 20).await;
    let zeros = vec![0; 64 << 20];
    let (gzip, zstd) = (gzip(&zeros), zstd(&zeros));
    drop(zeros);
    let mut stream = connect(&server).await;
    let mut client = grpc::connect(&server).await;
    for (name, bomb) in [("gzip", &gzip), ("zstd", &zstd)] {
        let reply = post(&mut stream, PROTOBUF, &[&format!("content-encoding: {name}")], bomb).await;
        assert_eq!(reply.code, 413, "{name}");
        let reply = grpc::send(&mut client, &[("grpc-encoding", name)], grpc::frame(1, bomb)).await;
        assert_eq!(grpc::status(&reply), "8", "{name}");
    }
    for protocol in ["grpc", "http"] {
        let counted = format!(
            "tracemill_refused_requests_total{{protocol=\"{protocol}\",signal=\"traces\",reason=\"too_large\"}} 2"
        );
        assert!(server.metrics().contains(&counted), "{}", server.metrics());
    }
    assert_eq!(server.budget.used(), 0);
    assert_eq!(log.text(), "", "a refusal is no warning");
    assert_eq!(grpc::status(&grpc::send(&mut client, &[], grpc::frame(0, &request(100))).await), "0");
}
