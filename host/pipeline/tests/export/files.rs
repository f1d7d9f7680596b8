//! Files that cannot be used, files that are replaced, and settings that have no effect.

use super::backend::Backend;
use super::bench::{BOTH, Bench, alpn, destination};
use super::certificates::Authority;
use super::server::server;
use super::wait::until;
use rustls::ALL_VERSIONS;
use tracemill_pipeline::export::config::{Identity, Protocol};

const LOCAL: &[&str] = &["127.0.0.1"];

#[tokio::test]
async fn files_that_cannot_be_used_are_named_and_change_nothing() {
    let bench = Bench::new();
    let ours = Authority::new("ours");
    let (one, other) = (ours.issue(LOCAL), ours.issue(LOCAL));
    let fine = bench.identity(&one);
    let junk = bench.file("junk.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let text = bench.file("text.pem", "no certificate at all");
    let foreign = bench.file("foreign.key", &other.key);
    let missing = bench.file("text.pem", "").with_file_name("missing.pem");
    let address = ([127, 0, 0, 1], 1).into();
    let message = |ca: Option<&std::path::PathBuf>, identity: Option<Identity>| {
        let mut config = destination(Protocol::Grpc, "https", address);
        config.tls.ca_file = Some(ca.unwrap_or(&bench.file("ca.pem", &ours.pem)).clone());
        config.tls.identity = identity;
        let message = bench.exports.reconfigure(vec![config]).unwrap_err().to_string();
        eprintln!("{message}");
        assert!(message.contains("destination `back`"), "{message}");
        message
    };
    for file in [&junk, &text, &missing] {
        assert!(message(Some(file), None).contains(&file.display().to_string()));
        let no_cert = Identity { cert_file: file.clone(), key_file: fine.key_file.clone() };
        assert!(message(None, Some(no_cert)).contains(&file.display().to_string()));
        let no_key = Identity { cert_file: fine.cert_file.clone(), key_file: file.clone() };
        assert!(message(None, Some(no_key)).contains(&file.display().to_string()));
    }
    let mixed = message(None, Some(Identity { cert_file: fine.cert_file.clone(), key_file: foreign.clone() }));
    assert!(mixed.contains(&foreign.display().to_string()) && mixed.contains("client.pem"), "{mixed}");
    // Nothing was started: nobody takes what is sent, and nothing is counted.
    bench.send(0..10, 100);
    assert!(!bench.has_logged("export failed"));
}

#[tokio::test]
async fn a_file_that_is_mended_in_place_is_read_at_the_next_reload_and_what_is_held_goes_out() {
    for protocol in BOTH {
        let (bench, ours) = (Bench::new(), Authority::new("ours"));
        let tls = server(&ours.issue(LOCAL), None, alpn(protocol), ALL_VERSIONS);
        let backend = Backend::start(protocol, Some(tls)).await;
        let mut config = destination(protocol, "https", backend.address);
        config.tls.ca_file = Some(bench.file("ca.pem", &Authority::new("theirs").pem));
        bench.send_ten(&config);
        backend.until(|seen| seen.refused >= 2).await;
        bench.file("ca.pem", &ours.pem);
        bench.exports.reconfigure(vec![config]).unwrap();
        backend.until(|seen| seen.taken.len() == 10).await;
        bench.until_all_sent().await;
    }
}

#[tokio::test]
async fn tls_settings_beside_a_plain_endpoint_are_warned_of() {
    for protocol in BOTH {
        let bench = Bench::new();
        let backend = Backend::start(protocol, None).await;
        let mut config = destination(protocol, "http", backend.address);
        bench.exports.reconfigure(vec![config.clone()]).unwrap();
        assert!(!bench.has_logged("nothing is encrypted"));
        config.tls.server_name = Some("collector.internal".into());
        bench.send_ten(&config);
        backend.until(|seen| seen.taken.len() == 10).await;
        assert!(bench.has_logged("nothing is encrypted"));
    }
}

#[tokio::test]
async fn a_port_without_tls_is_told_from_one_with_it() {
    for protocol in BOTH {
        let (bench, ours) = (Bench::new(), Authority::new("ours"));
        let backend = Backend::start(protocol, None).await;
        let mut config = destination(protocol, "https", backend.address);
        config.tls.ca_file = Some(bench.file("ca.pem", &ours.pem));
        bench.send_ten(&config);
        until("two retries", || bench.of("retries_total") >= 2).await;
        let failure = bench.failure();
        eprintln!("{failure}");
        assert_eq!(bench.of("held_spans"), 10);
        assert!(failure.contains("no TLS with") && failure.contains(&backend.address.to_string()), "{failure}");
        backend.change(server(&ours.issue(LOCAL), None, alpn(protocol), ALL_VERSIONS));
        backend.until(|seen| seen.taken.len() == 10).await;
        bench.until_all_sent().await;
    }
}
