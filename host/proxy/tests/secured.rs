//! The binary with TLS on all sides: what senders and `tracemill status` see, and certificates that are replaced while it runs.
#![expect(clippy::unwrap_used, reason = "these are tests, helpers included")]

#[path = "../../pipeline/tests/support/certificates.rs"]
#[expect(dead_code, reason = "expired and client certificates are tested one layer below")]
mod certificates;
mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use certificates::Authority;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use support::{Proxy, SOON, back_end, ended, get, post_span, span_request, tracemill};

const LOCAL: &[&str] = &["127.0.0.1"];
const TLS: &str = "tls: { cert_file: server.pem, key_file: server.key }";

/// What a server shows, and whom clients trust.
fn issue(folder: &Path, name: &str) -> Authority {
    let authority = Authority::new(name);
    let issued = authority.issue(LOCAL);
    std::fs::write(folder.join("server.pem"), issued.cert).unwrap();
    std::fs::write(folder.join("server.key"), issued.key).unwrap();
    std::fs::write(folder.join(format!("{name}.pem")), &authority.pem).unwrap();
    authority
}

/// A connection to OTLP/HTTP that trusts one authority.
fn connect(address: SocketAddr, trusted: &Authority) -> StreamOwned<ClientConnection, TcpStream> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(trusted.roots())
        .with_no_client_auth();
    let client = ClientConnection::new(Arc::new(config), "127.0.0.1".try_into().unwrap()).unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    StreamOwned::new(client, stream)
}

/// Sends one span; answers the head of what comes back.
fn post(stream: &mut StreamOwned<ClientConnection, TcpStream>) -> std::io::Result<String> {
    stream.write_all(&span_request("keep-alive"))?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

#[test]
fn certificates_are_replaced_on_all_sides_while_it_runs() {
    let (address, received) = back_end();
    let config = format!(
        "receive: {{ grpc: {{ listen: none }}, http: {{ listen: '127.0.0.1:0', {TLS} }} }}\n\
         admin: {{ listen: '127.0.0.1:0', {TLS} }}\n\
         export: {{ sink: {{ http: 'http://{address}', compression: none }} }}\n"
    );
    let mut old = None;
    let mut proxy = Proxy::launch_with(&config, |folder| old = Some(issue(folder, "old")));
    let old = old.unwrap();
    let folder = proxy.folder.path().to_owned();
    let http = proxy.port("http");
    let url = format!("https://{}", proxy.port("admin"));
    let status = |ca: &str| {
        let ca = format!("{ca}.pem");
        ended(&tracemill(&folder, &["status", "--admin", &url, "--ca", &ca]).output().unwrap())
    };
    proxy.until("readiness", || (status("old").0 == Some(0) && status("old").1.contains("ready")).then_some(()));

    let mut lasting = connect(http, &old);
    assert!(post(&mut lasting).unwrap().starts_with("HTTP/1.1 200"));
    let new = issue(&folder, "new");
    proxy.until("the admin side's new certificate", || (status("new").0 == Some(0)).then_some(()));
    proxy.until("the receiver's new certificate", || post(&mut connect(http, &new)).ok());
    let (code, text) = status("old");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("certificate"), "{text}");
    assert!(post(&mut connect(http, &old)).is_err());
    assert!(post(&mut lasting).unwrap().starts_with("HTTP/1.1 200"), "who was connected stays so");
    assert!(received.recv_timeout(SOON).is_ok());
    assert_eq!(proxy.stop(), Some(0));
}

#[test]
fn a_certificate_that_is_not_there_is_a_failed_start_that_says_which() {
    let folder = tempfile::tempdir().unwrap();
    let config = "admin: { listen: '127.0.0.1:0', tls: { cert_file: none.pem, key_file: none.key } }\n\
                  receive: { grpc: { listen: '127.0.0.1:0' }, http: { listen: none } }\n";
    std::fs::write(folder.path().join("tracemill.yaml"), config).unwrap();
    let (code, text) = ended(&tracemill(folder.path(), &["run", "--config", "tracemill.yaml"]).output().unwrap());
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("the admin side") && text.contains("none.pem"), "{text}");
}

#[test]
fn credentials_are_asked_for_on_all_sides_but_not_of_probes() {
    let config = "receive: { grpc: { listen: none }, http: { listen: '127.0.0.1:0' }, auth: { tokens_file: tokens } }\n\
                  admin: { listen: '127.0.0.1:0', auth: { basic_file: users } }\n";
    let mut proxy = Proxy::launch_with(config, |folder| {
        std::fs::write(folder.join("tokens"), "sesame\n").unwrap();
        // `open sesame`, by bcrypt.
        let users = format!("ali:{}\n", bcrypt::hash("open sesame", 4).unwrap());
        std::fs::write(folder.join("users"), users).unwrap();
        std::fs::write(folder.join("password"), "ali:open sesame\n").unwrap();
    });
    let admin = proxy.port("admin");
    proxy.until("readiness", || get(admin, "/readyz").starts_with("HTTP/1.1 200").then_some(()));
    assert!(get(admin, "/healthz").starts_with("HTTP/1.1 200"));
    for path in ["/", "/status", "/plugins", "/metrics"] {
        let answer = get(admin, path);
        assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("www-authenticate: Basic"), "{path}: {answer}");
    }
    assert!(post_span(proxy.port("http")).starts_with("HTTP/1.1 401"));
    let folder = proxy.folder.path().to_owned();
    let address = admin.to_string();
    let status = |more: &[&str]| {
        let arguments = [&["status", "--admin", &address], more].concat();
        ended(&tracemill(&folder, &arguments).output().unwrap())
    };
    let (code, text) = status(&[]);
    assert!(code == Some(1) && text.contains("--password-file"), "{text}");
    let (code, text) = status(&["--password-file", "password"]);
    assert!(code == Some(0) && text.contains("ready"), "{text}");
    assert_eq!(proxy.stop(), Some(0));
}
