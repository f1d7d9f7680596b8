//! `grpc.health.v1.Health`, as a gRPC client asks for it: tonic's, with messages written out byte by byte.

use std::time::Duration;

use bytes::{Buf as _, BufMut as _};
use http::uri::PathAndQuery;
use http_body_util::BodyExt as _;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tracemill_pipeline::request::Refusal;

use super::grpc;
use super::support::{Server, gzip, request, start};

pub const CHECK: &str = "/grpc.health.v1.Health/Check";
const TRACES: &str = "opentelemetry.proto.collector.trace.v1.TraceService";
/// `HealthCheckResponse`: field 1, a number.
const SERVING: [u8; 2] = [8, 1];
const NOT_SERVING: [u8; 2] = [8, 2];

/// Messages as the bytes that they are.
#[derive(Default)]
struct Bytewise;

impl Codec for Bytewise {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytewise {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Bytewise {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining()).to_vec()))
    }
}

pub async fn client(server: &Server) -> Grpc<Channel> {
    let endpoint = Endpoint::try_from(format!("http://{}", server.grpc)).unwrap();
    Grpc::new(endpoint.connect().await.unwrap())
}

pub async fn call(client: &mut Grpc<Channel>, path: &'static str, message: Vec<u8>) -> Result<Vec<u8>, Status> {
    client.ready().await.unwrap();
    let answer = client.unary(Request::new(message), PathAndQuery::from_static(path), Bytewise).await?;
    Ok(answer.into_inner())
}

/// `HealthCheckRequest`: field 1, a text; left out where it is empty.
pub fn about(service: &str) -> Vec<u8> {
    if service.is_empty() {
        return Vec::new();
    }
    [&[10, service.len() as u8], service.as_bytes()].concat()
}

/// Whether it says that it would take spans.
pub async fn is_serving(server: &Server) -> bool {
    call(&mut client(server).await, CHECK, about("")).await.unwrap() == SERVING
}

#[tokio::test]
async fn health_is_that_of_the_handler_now() {
    let server = start(|_| {}).await;
    let mut client = client(&server).await;
    for service in ["", TRACES] {
        assert_eq!(call(&mut client, CHECK, about(service)).await.unwrap(), SERVING, "{service:?}");
        *server.handler.refuses.lock() = Some(Refusal::unavailable(Duration::from_secs(1), "not ready"));
        assert_eq!(call(&mut client, CHECK, about(service)).await.unwrap(), NOT_SERVING, "{service:?}");
        *server.handler.refuses.lock() = None;
        assert_eq!(call(&mut client, CHECK, about(service)).await.unwrap(), SERVING, "{service:?}");
    }
    let counted = server.metrics();
    for outcome in ["accepted", "refused"] {
        let none = format!(r#"requests_total{{protocol="grpc",signal="none",outcome="{outcome}"}} 0"#);
        assert!(counted.contains(&none), "a question about health is no export: {counted}");
    }
}

#[tokio::test]
async fn health_of_others_is_not_found_and_watching_is_not_offered() {
    let server = start(|_| {}).await;
    let mut client = client(&server).await;
    for service in ["opentelemetry.proto.collector.profiles.v1.ProfilesService", "TraceService"] {
        assert_eq!(call(&mut client, CHECK, about(service)).await.unwrap_err().code(), Code::NotFound, "{service}");
    }
    for (path, message, code) in [
        ("/grpc.health.v1.Health/Watch", Vec::new(), Code::Unimplemented),
        ("/grpc.health.v1.Health/Chk", Vec::new(), Code::Unimplemented),
        (CHECK, vec![10, 200], Code::InvalidArgument),
        (CHECK, vec![10, 2, 0xff, 0xfe], Code::InvalidArgument),
        (CHECK, vec![0; 1 << 20], Code::ResourceExhausted),
    ] {
        assert_eq!(call(&mut client, path, message).await.unwrap_err().code(), code, "{path}");
    }
    assert_eq!(call(&mut client, CHECK, about("")).await.unwrap(), SERVING);
}

#[tokio::test]
async fn health_may_be_asked_for_with_compression() {
    let server = start(|_| {}).await;
    let mut client = grpc::connect(&server).await;
    let question = grpc::frame(1, &gzip(&about(TRACES)));
    let answer = client.send_request(grpc::call(CHECK, &[("grpc-encoding", "gzip")], question)).await.unwrap();
    let answer = answer.into_body().collect().await.unwrap();
    assert_eq!(answer.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(answer.to_bytes(), grpc::frame(0, &SERVING));
}

#[tokio::test]
async fn a_server_that_is_full_is_not_ill() {
    let server = start(|config| {
        config.max_in_flight_bytes = 64 << 10;
        config.max_request_bytes = 64 << 10;
    })
    .await;
    let _all = server.budget.take(64 << 10).unwrap();
    let reply = grpc::send(&mut grpc::connect(&server).await, &[], grpc::frame(0, &request(100))).await;
    assert_eq!(grpc::status(&reply), "14", "there is room");
    assert_eq!(call(&mut client(&server).await, CHECK, about("")).await.unwrap(), SERVING);
}
