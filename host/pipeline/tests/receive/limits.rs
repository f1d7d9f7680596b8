//! What a connection may cost before any of it is counted: headers, calls at once, windows.

use http::Request;
use http_body_util::Full;
use tokio::io::AsyncWriteExt as _;

use super::frames::{ACK, FIRST_WINDOW, Frames, PING, SETTINGS, WINDOW_UPDATE};
use super::grpc;
use super::http1::{PROTOBUF, connect, post, raw, read};
use super::support::start;

const FITS: usize = 30 << 10;
const OVER: usize = 40 << 10;

#[tokio::test]
async fn large_and_many_headers_are_431_over_http1() {
    let server = start(|_| {}).await;
    let mut stream = connect(&server).await;
    let header = |len: usize| format!("x-long: {}", "a".repeat(len));
    assert_eq!(post(&mut stream, PROTOBUF, &[&header(FITS)], b"").await.code, 200);
    let many: Vec<String> = (0..95).map(|at| format!("x-{at}: a")).collect();
    let many =
        |more: usize| many.iter().map(|header| &**header).chain(std::iter::repeat_n("x-more: b", more)).collect();
    let some: Vec<&str> = many(0);
    assert_eq!(post(&mut stream, PROTOBUF, &some, b"").await.code, 200);
    let too_many: Vec<&str> = many(10);
    for headers in [vec![&*header(OVER)], too_many] {
        let mut stream = connect(&server).await;
        stream.write_all(&raw("POST /v1/traces", &headers, b"")).await.unwrap();
        assert_eq!(read(&mut stream).await.code, 431);
    }
    assert_eq!(server.handler.requests.lock().len(), 2);
}

#[tokio::test]
async fn large_headers_are_refused_over_http2_and_the_connection_goes_on() {
    let server = start(|_| {}).await;
    let mut client = grpc::connect(&server).await;
    let long = "a".repeat(FITS);
    assert_eq!(grpc::status(&grpc::send(&mut client, &[("x-long", &long)], grpc::frame(0, b"")).await), "0");
    let long = "a".repeat(OVER);
    client.ready().await.unwrap();
    let call = Request::post("http://tracemill/v1/traces").header("x-long", long).body(Full::default()).unwrap();
    match client.send_request(call).await {
        Ok(response) => assert_eq!(response.status(), 431),
        Err(error) => panic!("the whole connection has ended: {error:?}"),
    }
    assert_eq!(grpc::status(&grpc::send(&mut client, &[], grpc::frame(0, b"")).await), "0");
    assert_eq!(server.handler.requests.lock().len(), 2);
}

#[tokio::test]
async fn many_connections_together_may_not_send_more_ahead_than_the_bound() {
    const CONNECTIONS: usize = 300;
    let server = start(|_| {}).await;
    let mut open = Vec::new();
    let mut ahead = 0;
    for _ in 0..CONNECTIONS {
        let mut frames = Frames::connect(server.grpc).await;
        // What the server enlarges the connection's window by, it says before it answers a ping that follows the settings.
        let mut more = 0;
        loop {
            let frame = frames.next().await.unwrap();
            match (frame.kind, frame.flags & ACK) {
                (WINDOW_UPDATE, _) if frame.stream == 0 => more += frame.increment(),
                (SETTINGS, ACK) => frames.write(PING, 0, &[0; 8]).await.unwrap(),
                (PING, ACK) => break,
                _ => {}
            }
        }
        ahead += (FIRST_WINDOW + more) as usize;
        open.push(frames);
    }
    let bound = CONNECTIONS * (64 << 10) + (64 << 20);
    assert!(ahead <= bound, "{ahead} bytes may be sent ahead, {bound} are the bound");
    assert!(ahead > CONNECTIONS * FIRST_WINDOW as usize + (16 << 20), "windows are never enlarged: {ahead}");
}

#[tokio::test]
async fn http2_clients_are_told_their_limits() {
    const STREAMS: u16 = 3;
    const HEADERS: u16 = 6;
    let server = start(|config| config.max_streams = 17).await;
    let settings = Frames::connect(server.http).await.next_of(SETTINGS).await.unwrap().settings();
    assert_eq!((settings.get(&STREAMS), settings.get(&HEADERS)), (Some(&17), Some(&(32 << 10))));
}
