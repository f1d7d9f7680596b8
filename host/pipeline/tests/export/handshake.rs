//! Handshakes that go well, and handshakes that do not: then spans are held, tried again, and the log says what is wrong.

use std::sync::Arc;
use std::time::Duration;

use rustls::version::{TLS12, TLS13};
use rustls::{ALL_VERSIONS, ServerConfig};
use tracemill_pipeline::export::DestinationConfig;
use tracemill_pipeline::export::config::Protocol;
use tracemill_pipeline::tls::TlsVersion;

use super::backend::Backend;
use super::bench::{BOTH, Bench, alpn, destination};
use super::certificates::{Authority, Issued};
use super::server::server;
use super::wait::until;

const LOCAL: &[&str] = &["localhost", "127.0.0.1"];

/// A server of both versions of TLS that asks for no certificate.
fn plain_server(protocol: Protocol, shown: &Issued) -> Arc<ServerConfig> {
    server(shown, None, alpn(protocol), ALL_VERSIONS)
}

/// Starts with a back end that comes to nothing, sees the spans held and the reason logged, then with one that works.
async fn held_until_mended(
    bench: &Bench,
    backend: &Backend,
    config: &DestinationConfig,
    reasons: &[&str],
    mended: Arc<ServerConfig>,
) {
    bench.send_ten(config);
    backend.until(|seen| seen.refused >= 3).await;
    assert_eq!((bench.of("held_spans"), bench.of("sent_spans_total")), (10, 0));
    assert!(bench.of("retries_total") >= 2);
    let failure = bench.failure();
    eprintln!("{failure}");
    for reason in ["destination=\"back\"", &backend.address.to_string()].iter().chain(reasons) {
        assert!(failure.contains(reason), "no `{reason}` in: {failure}");
    }
    backend.change(mended);
    let seen = backend.until(|seen| seen.taken.len() == 10).await;
    bench.until_all_sent().await;
    assert!(seen.taken.values().all(|&times| times == 1), "{seen:?}");
}

#[tokio::test]
async fn spans_are_delivered_under_a_private_authority() {
    for protocol in BOTH {
        for version in [&TLS12, &TLS13] {
            let (bench, authority) = (Bench::new(), Authority::new("ours"));
            let tls = server(&authority.issue(LOCAL), None, alpn(protocol), &[version]);
            let backend = Backend::start(protocol, Some(tls)).await;
            let mut config = destination(protocol, "https", backend.address);
            config.tls.ca_file = Some(bench.file("ca.pem", &authority.pem));
            bench.send_ten(&config);
            let seen = backend.until(|seen| seen.taken.len() == 10).await;
            bench.until_all_sent().await;
            assert_eq!(seen.agreed, [(alpn(protocol).to_vec(), false)]);
        }
    }
}

#[tokio::test]
async fn one_of_several_authorities_in_a_file_is_enough() {
    let (bench, ours) = (Bench::new(), Authority::new("ours"));
    let backend = Backend::start(Protocol::Grpc, Some(plain_server(Protocol::Grpc, &ours.issue(LOCAL)))).await;
    let mut config = destination(Protocol::Grpc, "https", backend.address);
    config.tls.ca_file = Some(bench.file("ca.pem", &(Authority::new("theirs").pem + &ours.pem)));
    bench.send_ten(&config);
    backend.until(|seen| seen.taken.len() == 10).await;
    bench.until_all_sent().await;
}

#[tokio::test]
async fn a_certificate_for_another_name_holds_the_spans() {
    for protocol in BOTH {
        let (bench, authority) = (Bench::new(), Authority::new("ours"));
        let wrong = plain_server(protocol, &authority.issue(&["collector.internal"]));
        let backend = Backend::start(protocol, Some(wrong)).await;
        let mut config = destination(protocol, "https", backend.address);
        config.tls.ca_file = Some(bench.file("ca.pem", &authority.pem));
        let mended = plain_server(protocol, &authority.issue(LOCAL));
        let reasons = ["collector.internal", "`tls.server_name`"];
        held_until_mended(&bench, &backend, &config, &reasons, mended).await;
    }
}

#[tokio::test]
async fn the_name_to_expect_can_be_another_than_the_host() {
    for protocol in BOTH {
        let (bench, authority) = (Bench::new(), Authority::new("ours"));
        let tls = plain_server(protocol, &authority.issue(&["collector.internal"]));
        let backend = Backend::start(protocol, Some(tls)).await;
        let mut config = destination(protocol, "https", backend.address);
        config.tls.ca_file = Some(bench.file("ca.pem", &authority.pem));
        config.tls.server_name = Some("collector.internal".into());
        bench.send_ten(&config);
        backend.until(|seen| seen.taken.len() == 10).await;
        bench.until_all_sent().await;
    }
}

#[tokio::test]
async fn a_certificate_of_another_authority_holds_the_spans() {
    for protocol in BOTH {
        let (bench, ours, theirs) = (Bench::new(), Authority::new("ours"), Authority::new("theirs"));
        let backend = Backend::start(protocol, Some(plain_server(protocol, &theirs.issue(LOCAL)))).await;
        let mut config = destination(protocol, "https", backend.address);
        let file = bench.file("ca.pem", &ours.pem);
        config.tls.ca_file = Some(file.clone());
        let mended = plain_server(protocol, &ours.issue(LOCAL));
        let reasons = ["not signed by an authority in", &file.display().to_string()];
        held_until_mended(&bench, &backend, &config, &reasons, mended).await;
    }
}

#[tokio::test]
async fn an_expired_certificate_holds_the_spans() {
    for protocol in BOTH {
        let (bench, authority) = (Bench::new(), Authority::new("ours"));
        let expired = plain_server(protocol, &authority.issue_expired(LOCAL));
        let backend = Backend::start(protocol, Some(expired)).await;
        let mut config = destination(protocol, "https", backend.address);
        config.tls.ca_file = Some(bench.file("ca.pem", &authority.pem));
        let mended = plain_server(protocol, &authority.issue(LOCAL));
        held_until_mended(&bench, &backend, &config, &["certificate expired"], mended).await;
    }
}

#[tokio::test]
async fn a_back_end_that_speaks_older_tls_than_is_wanted_holds_the_spans() {
    for protocol in BOTH {
        let (bench, authority) = (Bench::new(), Authority::new("ours"));
        let old = server(&authority.issue(LOCAL), None, alpn(protocol), &[&TLS12]);
        let backend = Backend::start(protocol, Some(old)).await;
        let mut config = destination(protocol, "https", backend.address);
        config.tls.ca_file = Some(bench.file("ca.pem", &authority.pem));
        config.tls.min_version = TlsVersion::Tls13;
        let mended = plain_server(protocol, &authority.issue(LOCAL));
        held_until_mended(&bench, &backend, &config, &["`tls.min_version` is 1.3"], mended).await;
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_when_it_is_asked_for() {
    for protocol in BOTH {
        for version in [&TLS12, &TLS13] {
            let (bench, ours, clients) = (Bench::new(), Authority::new("ours"), Authority::new("clients"));
            let tls = server(&ours.issue(LOCAL), Some(&clients), alpn(protocol), &[version]);
            let backend = Backend::start(protocol, Some(tls)).await;
            let mut config = destination(protocol, "https", backend.address);
            config.tls.ca_file = Some(bench.file("ca.pem", &ours.pem));
            config.tls.identity = Some(bench.identity(&clients.issue(&["tracemill"])));
            bench.send_ten(&config);
            let seen = backend.until(|seen| seen.taken.len() == 10).await;
            bench.until_all_sent().await;
            assert_eq!(seen.agreed, [(alpn(protocol).to_vec(), true)]);
        }
    }
}

#[tokio::test]
async fn a_client_certificate_that_is_asked_for_in_vain_holds_the_spans() {
    for protocol in BOTH {
        for version in [&TLS12, &TLS13] {
            let (bench, ours, clients) = (Bench::new(), Authority::new("ours"), Authority::new("clients"));
            let shown = ours.issue(LOCAL);
            let backend =
                Backend::start(protocol, Some(server(&shown, Some(&clients), alpn(protocol), &[version]))).await;
            let mut config = destination(protocol, "https", backend.address);
            config.tls.ca_file = Some(bench.file("ca.pem", &ours.pem));
            let reasons = ["asks for a client certificate", "`tls.cert_file`"];
            held_until_mended(&bench, &backend, &config, &reasons, plain_server(protocol, &shown)).await;
        }
    }
}

#[tokio::test]
async fn a_client_certificate_that_is_not_trusted_holds_the_spans() {
    for protocol in BOTH {
        for version in [&TLS12, &TLS13] {
            let (bench, ours, clients) = (Bench::new(), Authority::new("ours"), Authority::new("clients"));
            let shown = ours.issue(LOCAL);
            let backend = Backend::start(protocol, Some(server(&shown, Some(&ours), alpn(protocol), &[version]))).await;
            let mut config = destination(protocol, "https", backend.address);
            config.tls.ca_file = Some(bench.file("ca.pem", &ours.pem));
            config.tls.identity = Some(bench.identity(&clients.issue(&["tracemill"])));
            let mended = server(&shown, Some(&clients), alpn(protocol), &[version]);
            held_until_mended(&bench, &backend, &config, &["client.pem", "does it trust it?"], mended).await;
        }
    }
}

#[tokio::test]
async fn the_wrong_protocol_on_the_port_holds_the_spans() {
    for (protocol, other) in [(Protocol::Grpc, Protocol::Http), (Protocol::Http, Protocol::Grpc)] {
        let (bench, authority) = (Bench::new(), Authority::new("ours"));
        let shown = authority.issue(LOCAL);
        let backend = Backend::start(protocol, Some(plain_server(other, &shown))).await;
        let mut config = destination(protocol, "https", backend.address);
        config.tls.ca_file = Some(bench.file("ca.pem", &authority.pem));
        held_until_mended(&bench, &backend, &config, &["mixed up"], plain_server(protocol, &shown)).await;
    }
}

#[tokio::test]
async fn a_handshake_that_is_never_answered_ends_with_its_attempt() {
    for protocol in BOTH {
        let (bench, authority) = (Bench::new(), Authority::new("ours"));
        // The kernel takes connections for it; nobody reads.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = destination(protocol, "https", silent.local_addr().unwrap());
        config.tls.ca_file = Some(bench.file("ca.pem", &authority.pem));
        config.timeout = Duration::from_millis(20);
        bench.send_ten(&config);
        until("two retries", || bench.of("retries_total") >= 2).await;
        let failure = bench.failure();
        assert!(failure.contains("no connection to 127.0.0.1:") && failure.contains("within 20ms"), "{failure}");
        let backend = Backend::start(protocol, Some(plain_server(protocol, &authority.issue(LOCAL)))).await;
        let mut config = destination(protocol, "https", backend.address);
        config.tls.ca_file = Some(bench.file("ca.pem", &authority.pem));
        bench.exports.reconfigure(vec![config]).unwrap();
        backend.until(|seen| seen.taken.len() == 10).await;
        bench.until_all_sent().await;
    }
}
