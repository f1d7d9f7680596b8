//! Budgets over real connections: of a connection, of a tenant, and how senders share what is left.

use std::net::SocketAddr;

use http::HeaderName;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpSocket, TcpStream};

use super::grpc::{self, Client, Reply};
use super::http1::{PROTOBUF, post};
use super::support::{Server, request, start};

const TENANT: HeaderName = HeaderName::from_static("x-tenant");

/// A server that answers nothing, so that requests stay in flight.
async fn busy(change: impl FnOnce(&mut tracemill_pipeline::receive::Config)) -> Server {
    let server = start(change).await;
    server.handler.gate.forget_permits(usize::MAX);
    server
}

/// A gRPC client with an address of its own.
async fn client(server: &Server, address: [u8; 4]) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((address, 0))).unwrap();
    let stream = socket.connect(server.grpc).await.unwrap();
    let (client, connection) = http2::Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Sends, and waits until the request is in flight; or answers how it was refused.
async fn sent(
    server: &Server,
    client: &Client,
    headers: &[(&'static str, &'static str)],
    bytes: usize,
) -> Result<(), Reply> {
    let (mut client, headers) = (client.clone(), headers.to_vec());
    let call = tokio::spawn(async move { grpc::send(&mut client, &headers, grpc::frame(0, &vec![1; bytes])).await });
    tokio::select! {
        arrived = server.handler.arrived.acquire() => { arrived.unwrap().forget(); Ok(()) }
        refused = call => Err(refused.unwrap()),
    }
}

fn assert_refused(server: &Server, outcome: Result<(), Reply>, reason: &str) {
    let reply = outcome.expect_err("it was taken");
    assert_eq!(grpc::status(&reply), "14", "{}", reply.message);
    assert!(reply.headers.contains_key("grpc-status-details-bin"), "no delay is told");
    let counted =
        format!("tracemill_refused_requests_total{{protocol=\"grpc\",signal=\"traces\",reason=\"{reason}\"}} 1");
    assert!(server.metrics().contains(&counted), "{}", server.metrics());
}

#[tokio::test]
async fn a_connection_has_a_budget_of_its_own() {
    let server = busy(|config| config.max_in_flight_per_connection = Some(10_000)).await;
    let (first, second) = (client(&server, [127, 0, 0, 1]).await, client(&server, [127, 0, 0, 1]).await);
    assert!(sent(&server, &first, &[], 6000).await.is_ok());
    let refused = sent(&server, &first, &[], 6000).await;
    assert!(refused.as_ref().is_err_and(|reply| reply.message.contains("this connection")));
    assert_refused(&server, refused, "connection_full");
    assert!(sent(&server, &second, &[], 6000).await.is_ok());
    // One that never fits is not to be sent again.
    assert_eq!(grpc::status(&sent(&server, &second, &[], 10_001).await.unwrap_err()), "8");
}

#[tokio::test]
async fn a_tenant_has_a_budget_of_its_own_over_all_its_connections() {
    let server = busy(|config| {
        config.max_in_flight_per_tenant = Some(10_000);
        config.tenant_header = Some(TENANT);
    })
    .await;
    let (first, second) = (client(&server, [127, 0, 0, 1]).await, client(&server, [127, 0, 0, 2]).await);
    assert!(sent(&server, &first, &[("x-tenant", "a")], 6000).await.is_ok());
    assert_refused(&server, sent(&server, &second, &[("x-tenant", "a")], 6000).await, "tenant_full");
    assert!(sent(&server, &second, &[("x-tenant", "b")], 6000).await.is_ok());
    assert!(sent(&server, &second, &[], 6000).await.is_ok());
    let mut stream = TcpStream::connect(server.http).await.unwrap();
    let reply = post(&mut stream, PROTOBUF, &["x-tenant: a"], &request(6000)).await;
    assert_eq!(reply.code, 503);
    assert!(reply.head.contains("retry-after: 1\r\n"), "{}", reply.head);
}

#[tokio::test]
async fn a_greedy_sender_does_not_keep_others_out() {
    const BUDGET: usize = 100_000;
    let server = busy(|config| config.max_in_flight_bytes = BUDGET).await;
    let (greedy, modest) = (client(&server, [127, 0, 0, 1]).await, client(&server, [127, 0, 0, 2]).await);
    let mut taken = 0;
    let refused = loop {
        match sent(&server, &greedy, &[], 3000).await {
            Ok(()) => taken += 3000,
            Err(reply) => break Err(reply),
        }
    };
    assert!((BUDGET / 2..BUDGET * 2 / 3).contains(&taken), "{taken} bytes were taken of the greedy one");
    assert_refused(&server, refused, "unfair_share");
    // Another connection helps the greedy one as long as its address has not got its share.
    let more = client(&server, [127, 0, 0, 1]).await;
    assert!(sent(&server, &more, &[], 3000).await.is_ok());
    while sent(&server, &more, &[], 3000).await.is_ok() {
        taken += 3000;
    }
    assert!(taken < BUDGET * 2 / 3, "{taken} bytes were taken of the greedy one");
    for _ in 0..4 {
        assert!(sent(&server, &modest, &[], 3000).await.is_ok(), "the modest one is kept out");
    }
}
