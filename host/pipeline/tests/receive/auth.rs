//! Credentials on both protocols: who is refused, how, and before what; and what stays open.

use std::path::PathBuf;

use http::HeaderName;
use tokio::io::AsyncWriteExt as _;
use tracemill_pipeline::receive::{AuthConfig, BindError, Cors};

use super::grpc;
use super::health::is_serving;
use super::http1::{PROTOBUF, connect, post, raw, read};
use super::log::Log;
use super::support::{Server, request, start};

const TENANT: HeaderName = HeaderName::from_static("x-tenant");

struct Secrets(tempfile::TempDir);

impl Secrets {
    fn new(text: &str) -> Self {
        let secrets = Self(tempfile::tempdir().unwrap());
        std::fs::write(secrets.file(), text).unwrap();
        secrets
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("secrets")
    }
}

async fn guarded(secrets: &Secrets) -> Server {
    start(|config| {
        config.auth = Some(AuthConfig::Tokens(secrets.file()));
        config.tenant_header = Some(TENANT);
        let origins = vec!["https://app.example".parse().unwrap()];
        config.cors = Some(Cors { origins, headers: Vec::new(), max_age: std::time::Duration::ZERO });
    })
    .await
}

#[tokio::test]
async fn without_a_known_token_nothing_is_taken() {
    let log = Log::listen();
    let secrets = Secrets::new("sesame\n");
    let server = guarded(&secrets).await;
    let mut client = grpc::connect(&server).await;
    for (headers, said) in
        [(&[][..], "credentials are needed"), (&[("authorization", "Bearer guess")][..], "not known")]
    {
        let reply = grpc::send(&mut client, headers, grpc::frame(0, &request(100))).await;
        assert_eq!((reply.http, grpc::status(&reply)), (200, "16"));
        assert!(reply.message.contains(said), "{}", reply.message);
    }
    let mut stream = connect(&server).await;
    for headers in [&[][..], &["authorization: Bearer guess"], &["authorization: Basic c2VzYW1l"]] {
        let reply = post(&mut stream, "application/json", headers, b"{}").await;
        assert_eq!(reply.code, 401);
        assert!(reply.head.contains("www-authenticate: bearer realm=\"tracemill\""), "{}", reply.head);
        let status: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(status["code"], 16);
    }
    assert!(server.handler.bodies().is_empty());
    assert_eq!(
        grpc::status(&grpc::send(&mut client, &[("authorization", "Bearer sesame")], grpc::frame(0, b"")).await),
        "0"
    );
    assert_eq!(post(&mut stream, PROTOBUF, &["authorization: Bearer sesame"], b"").await.code, 200);
    let metrics = server.metrics();
    assert!(
        metrics.contains(
            "tracemill_refused_requests_total{protocol=\"grpc\",signal=\"traces\",reason=\"unauthenticated\"} 2"
        ),
        "{metrics}"
    );
    assert!(
        metrics.contains(
            "tracemill_refused_requests_total{protocol=\"http\",signal=\"traces\",reason=\"unauthenticated\"} 3"
        ),
        "{metrics}"
    );
    assert!(!log.text().contains("sesame") && !log.text().contains("guess"), "{}", log.text());
}

#[tokio::test]
async fn a_body_of_somebody_unknown_is_not_waited_for() {
    let secrets = Secrets::new("sesame\n");
    let server = guarded(&secrets).await;
    let mut stream = connect(&server).await;
    let whole = raw("POST /v1/traces", &["content-type: application/x-protobuf", "expect: 100-continue"], &[1; 5000]);
    stream.write_all(&whole[..whole.len() - 5000]).await.unwrap();
    assert_eq!(read(&mut stream).await.code, 401);
    assert_eq!(server.budget.used(), 0);
}

#[tokio::test]
async fn health_and_preflights_are_open() {
    let secrets = Secrets::new("sesame\n");
    let server = guarded(&secrets).await;
    assert!(is_serving(&server).await);
    let mut stream = connect(&server).await;
    let headers = ["origin: https://app.example", "access-control-request-method: POST"];
    stream.write_all(&raw("OPTIONS /v1/traces", &headers, b"")).await.unwrap();
    let reply = read(&mut stream).await;
    assert_eq!(reply.code, 204);
    assert!(reply.head.contains("content-encoding, authorization"), "{}", reply.head);
}

#[tokio::test]
async fn the_tenant_of_a_token_cannot_be_forged() {
    let secrets = Secrets::new("with acme\nwithout\n");
    let server = guarded(&secrets).await;
    let mut stream = connect(&server).await;
    for token in ["with", "without"] {
        let token = format!("authorization: Bearer {token}");
        assert_eq!(post(&mut stream, PROTOBUF, &[&token, "x-tenant: other"], b"").await.code, 200);
    }
    let requests = server.handler.requests.lock();
    let tenants: Vec<_> = requests.iter().map(|request| request.context.tenant.as_deref()).collect();
    assert_eq!(tenants, [Some("acme"), Some("other")]);
}

#[tokio::test]
async fn tokens_that_change_are_read_anew_by_themselves() {
    let secrets = Secrets::new("old\n");
    let server = guarded(&secrets).await;
    let mut stream = connect(&server).await;
    assert_eq!(post(&mut stream, PROTOBUF, &["authorization: Bearer old"], b"").await.code, 200);
    std::fs::write(secrets.file(), "new\n").unwrap();
    let taken = async { while post(&mut stream, PROTOBUF, &["authorization: Bearer new"], b"").await.code != 200 {} };
    tokio::time::timeout(std::time::Duration::from_secs(30), taken).await.expect("the file is read anew");
    assert_eq!(post(&mut stream, PROTOBUF, &["authorization: Bearer old"], b"").await.code, 401);
}

#[tokio::test]
async fn passwords_are_asked_for_as_browsers_know_it() {
    // `open sesame`, at bcrypt's lowest cost.
    let secrets = Secrets::new(&format!("ali:{}\n", bcrypt::hash("open sesame", 4).unwrap()));
    let server = start(|config| config.auth = Some(AuthConfig::Basic(secrets.file()))).await;
    let mut stream = connect(&server).await;
    let reply = post(&mut stream, PROTOBUF, &[], b"").await;
    assert_eq!(reply.code, 401);
    assert!(reply.head.contains("www-authenticate: basic realm"), "{}", reply.head);
    assert_eq!(post(&mut stream, PROTOBUF, &["authorization: Basic YWxpOm9wZW4gc2VzYW1l"], b"").await.code, 200);
    assert_eq!(post(&mut stream, PROTOBUF, &["authorization: Basic YWxpOm9wZW4="], b"").await.code, 401);
}

#[tokio::test]
async fn a_file_that_cannot_be_used_keeps_the_receivers_closed() {
    let config = tracemill_pipeline::receive::Config {
        grpc: Some(([127, 0, 0, 1], 0).into()),
        http: None,
        auth: Some(AuthConfig::Tokens("/nowhere/tokens".into())),
        ..Default::default()
    };
    let error = super::support::bound(config).expect_err("it is bound");
    assert!(matches!(error, BindError::Auth(_)) && error.to_string().contains("/nowhere/tokens"), "{error}");
}
