//! Receivers over TLS: who is let in, who is not and what is said of it, and certificates that are replaced.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::version::{TLS12, TLS13};
use rustls::{ALL_VERSIONS, ClientConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tracemill_pipeline::receive::{Config, TlsConfig, TlsVersion};

use super::certificates::{Authority, Issued};
use super::grpc;
use super::http1::raw;
use super::log::Log;
use super::support::{Server, bound, request, start};
use super::wait::until;

const LOCAL: &[&str] = &["localhost"];
const SOON: Duration = Duration::from_secs(30);

/// Files, and the log of the test's own thread.
struct Bench {
    folder: tempfile::TempDir,
    log: Log,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), log: Log::listen() }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn tls(&self, shown: &Issued, clients: Option<&Authority>) -> TlsConfig {
        TlsConfig {
            cert_file: self.file("server.pem", &shown.cert),
            key_file: self.file("server.key", &shown.key),
            client_ca_file: clients.map(|authority| self.file("clients.pem", &authority.pem)),
            min_version: TlsVersion::Tls12,
        }
    }

    fn logged(&self) -> String {
        self.log.text()
    }
}

async fn serve(tls: &TlsConfig) -> Server {
    start(|config| (config.grpc_tls, config.http_tls) = (Some(tls.clone()), Some(tls.clone()))).await
}

#[derive(Clone, Copy)]
struct Client<'a> {
    trusts: &'a Authority,
    shows: Option<&'a Issued>,
    alpn: &'a [&'a str],
    versions: &'a [&'static SupportedProtocolVersion],
}

impl<'a> Client<'a> {
    fn of(trusts: &'a Authority) -> Self {
        Self { trusts, shows: None, alpn: &["http/1.1"], versions: ALL_VERSIONS }
    }

    fn showing(trusts: &'a Authority, shows: &'a Issued) -> Self {
        Self { shows: Some(shows), ..Self::of(trusts) }
    }

    async fn connect(&self, to: std::net::SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(self.trusts.roots());
        let mut config = match self.shows {
            None => builder.with_no_client_auth(),
            Some(shown) => builder.with_client_auth_cert(vec![shown.certificate()], shown.private_key()).unwrap(),
        };
        config.alpn_protocols = self.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(to).await?;
        TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), stream).await
    }

    /// The code that a request is answered over a connection of its own.
    async fn post(&self, server: &Server) -> io::Result<u16> {
        post(&mut self.connect(server.http).await?, 400_000).await
    }
}

async fn post(stream: &mut TlsStream<TcpStream>, bytes: usize) -> io::Result<u16> {
    let headers = ["content-type: application/x-protobuf"];
    stream.write_all(&raw("POST /v1/traces", &headers, &request(bytes))).await?;
    stream.flush().await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head[9..12]).parse().unwrap())
}

async fn until_failed(server: &Server, times: u32) {
    let line = format!("tracemill_receive_failed_handshakes_total{{protocol=\"http\"}} {times}\n");
    until(&line, || server.metrics().contains(&line)).await;
}

/// A client is turned away, it is counted, the log says why, and the next client is served.
async fn turned_away(bench: &Bench, tls: &TlsConfig, client: Client<'_>, reasons: &[&str], next: Client<'_>) {
    let server = serve(tls).await;
    assert!(client.post(&server).await.is_err());
    until_failed(&server, 1).await;
    let log = bench.logged();
    for reason in ["peer=127.0.0.1:", "a TLS handshake failed"].iter().chain(reasons) {
        assert!(log.contains(reason), "no `{reason}` in: {log}");
    }
    assert_eq!(next.post(&server).await.unwrap(), 200);
    until_failed(&server, 1).await;
    assert_eq!(server.handler.requests.lock().len(), 1);
}

#[tokio::test]
async fn requests_are_taken_over_both_versions_and_both_kinds_of_http() {
    let (bench, ours) = (Bench::new(), Authority::new("ours"));
    let server = serve(&bench.tls(&ours.issue(LOCAL), None)).await;
    for version in [&TLS12, &TLS13] {
        let client = Client { versions: &[version], ..Client::of(&ours) };
        assert_eq!(client.post(&server).await.unwrap(), 200);

        let client = Client { alpn: &["http/1.1", "h2"], versions: &[version], ..Client::of(&ours) };
        let stream = client.connect(server.grpc).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (mut calls, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let reply = grpc::send(&mut calls, &[], grpc::frame(0, &request(2_000_000))).await;
        assert_eq!(grpc::status(&reply), "0");
    }
    let lengths: Vec<_> = server.handler.bodies().iter().map(Vec::len).collect();
    let (small, large) = (request(400_000).len(), request(2_000_000).len());
    assert_eq!(lengths, [small, large, small, large]);
    assert_eq!(bench.logged(), "");
}

#[tokio::test]
async fn a_client_that_does_not_trust_the_certificate_is_told_of() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    for (name, trusts) in [("localhost", &theirs), ("elsewhere", &ours)] {
        let bench = Bench::new();
        let server = serve(&bench.tls(&ours.issue(&[name]), None)).await;
        assert!(Client::of(trusts).post(&server).await.is_err());
        until_failed(&server, 1).await;
        let log = bench.logged();
        assert!(log.contains("the client does not trust the certificate in ") && log.contains("server.pem"), "{log}");
    }
}

#[tokio::test]
async fn without_a_certificate_that_is_trusted_no_client_is_let_in() {
    let (ours, clients) = (Authority::new("ours"), Authority::new("clients"));
    let good = clients.issue(&["app"]);
    let (stranger, late) = (ours.issue(&["app"]), clients.issue_expired(&["app"]));
    for (shown, reasons) in [
        (None, ["must show a certificate", "clients.pem"]),
        (Some(&stranger), ["is not signed by an authority in", "clients.pem"]),
        (Some(&late), ["certificate expired", "it is the client's certificate"]),
    ] {
        for version in [&TLS12, &TLS13] {
            let bench = Bench::new();
            let tls = bench.tls(&ours.issue(LOCAL), Some(&clients));
            let client = Client { shows: shown, versions: &[version], ..Client::of(&ours) };
            turned_away(&bench, &tls, client, &reasons, Client::showing(&ours, &good)).await;
        }
    }
}

#[tokio::test]
async fn an_older_version_than_the_oldest_is_refused() {
    let (bench, ours) = (Bench::new(), Authority::new("ours"));
    let tls = TlsConfig { min_version: TlsVersion::Tls13, ..bench.tls(&ours.issue(LOCAL), None) };
    let old = Client { versions: &[&TLS12], ..Client::of(&ours) };
    turned_away(&bench, &tls, old, &["`min_version` is 1.3"], Client::of(&ours)).await;
}

#[tokio::test]
async fn plain_text_is_told_of_and_warned_of_once_in_a_while() {
    let (bench, ours) = (Bench::new(), Authority::new("ours"));
    let server = serve(&bench.tls(&ours.issue(LOCAL), None)).await;
    for times in 1..=3 {
        let mut stream = TcpStream::connect(server.http).await.unwrap();
        stream.write_all(&raw("POST /v1/traces", &[], b"")).await.unwrap();
        until_failed(&server, times).await;
    }
    let log = bench.logged();
    assert!(log.contains("does not speak TLS: is its endpoint http:// instead of https://?"), "{log}");
    assert_eq!(log.matches("a TLS handshake failed").count(), 1, "{log}");
}

#[tokio::test]
async fn a_handshake_has_its_time_and_who_says_nothing_has_not_failed() {
    let (bench, ours) = (Bench::new(), Authority::new("ours"));
    let tls = bench.tls(&ours.issue(LOCAL), None);
    let server = start(|config| {
        config.http_tls = Some(tls.clone());
        config.header_timeout = Duration::from_millis(50);
    })
    .await;
    let mut silent = TcpStream::connect(server.http).await.unwrap();
    assert_eq!(tokio::time::timeout(SOON, silent.read(&mut [0])).await.unwrap().unwrap(), 0);
    let mut halting = TcpStream::connect(server.http).await.unwrap();
    // The beginning of a record that says hello.
    halting.write_all(&[22, 3, 1, 0, 200, 1]).await.unwrap();
    assert_eq!(tokio::time::timeout(SOON, halting.read(&mut [0])).await.unwrap().unwrap(), 0);
    until_failed(&server, 1).await;
    assert!(bench.logged().contains("did not finish it in time"), "{}", bench.logged());
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let (bench, ours) = (Bench::new(), Authority::new("ours"));
    let fine = bench.tls(&ours.issue(LOCAL), None);
    let text = bench.file("text.pem", "no certificate at all");
    let foreign = bench.file("foreign.key", &ours.issue(LOCAL).key);
    let missing = bench.folder.path().join("missing.pem");
    let message = |tls: TlsConfig| {
        let config =
            Config { grpc: None, http: Some(([127, 0, 0, 1], 0).into()), http_tls: Some(tls), ..Config::default() };
        bound(config).map(drop).map_err(|error| error.to_string())
    };
    for file in [&text, &missing] {
        for tls in [
            TlsConfig { cert_file: file.clone(), ..fine.clone() },
            TlsConfig { key_file: file.clone(), ..fine.clone() },
            TlsConfig { client_ca_file: Some(file.clone()), ..fine.clone() },
        ] {
            let message = message(tls).unwrap_err();
            assert!(message.contains("OTLP/HTTP") && message.contains(&file.display().to_string()), "{message}");
        }
    }
    let message_of_key = message(TlsConfig { key_file: foreign, ..fine.clone() }).unwrap_err();
    assert!(message_of_key.contains("server.pem") && message_of_key.contains("foreign.key"), "{message_of_key}");
    assert_eq!(bench.logged(), "");
    // What has expired is used all the same.
    assert_eq!(message(bench.tls(&ours.issue_expired(LOCAL), None)), Ok(()));
    let log = bench.logged();
    assert!(log.contains("server.pem") && log.contains("expired"), "{log}");
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections_and_a_broken_one_to_none() {
    let (bench, old, new) = (Bench::new(), Authority::new("old"), Authority::new("new"));
    let server = serve(&bench.tls(&old.issue(LOCAL), None)).await;
    let mut lasting = Client::of(&old).connect(server.http).await.unwrap();
    assert_eq!(post(&mut lasting, 10).await.unwrap(), 200);

    let issued = new.issue(LOCAL);
    bench.file("server.pem", &issued.cert);
    let error = server.certificates.read().map(drop).unwrap_err().to_string();
    assert!(error.contains("server.pem") && error.contains("server.key"), "{error}");
    assert_eq!(Client::of(&old).post(&server).await.unwrap(), 200);

    bench.file("server.key", &issued.key);
    server.certificates.read().unwrap().apply();
    assert_eq!(Client::of(&new).post(&server).await.unwrap(), 200);
    assert!(Client::of(&old).post(&server).await.is_err());
    assert_eq!(post(&mut lasting, 10).await.unwrap(), 200, "who was connected stays so");
}

#[tokio::test]
async fn files_that_change_are_read_anew_by_themselves() {
    let (bench, old, new) = (Bench::new(), Authority::new("old"), Authority::new("new"));
    let (clients, others) = (Authority::new("clients"), Authority::new("others"));
    let tls = bench.tls(&old.issue(LOCAL), Some(&clients));
    let server = serve(&tls).await;
    let (client, other) = (clients.issue(&["app"]), others.issue(&["app"]));
    assert_eq!(Client::showing(&old, &client).post(&server).await.unwrap(), 200);
    bench.tls(&new.issue(LOCAL), Some(&others));
    let taken = async { while Client::showing(&new, &other).post(&server).await.is_err() {} };
    tokio::time::timeout(SOON, taken).await.expect("the new files are read");
    assert!(Client::showing(&new, &client).post(&server).await.is_err());
}
