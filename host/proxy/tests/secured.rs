//! The binary with TLS on all sides: what senders and `tracemill status` see, and certificates that are replaced while it runs.
#![expect(clippy::unwrap_used, reason = "these are tests, helpers included")]

#[path = "../../pipeline/tests/support/certificates.rs"]
#[expect(dead_code, reason = "expired certificates are tested one layer below")]
mod certificates;
mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use certificates::Authority;
use nix::sys::signal::Signal;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned};
use support::{LISTEN, Proxy, SOON, back_end, ended, get, post_span, span_request, take_request, tracemill};

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

/// What a server shows, and that it asks for certificates that the same authority has signed.
fn mutual(authority: &Authority) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(authority.roots().into(), Arc::clone(&provider));
    let shown = authority.issue(LOCAL);
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![shown.certificate()], shown.private_key());
    Arc::new(config.unwrap())
}

/// Writes what a client trusts and shows.
fn identity(folder: &Path, authority: &Authority) {
    let issued = authority.issue(&["tracemill"]);
    for (name, text) in [("ca.pem", &authority.pem), ("client.pem", &issued.cert), ("client.key", &issued.key)] {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

#[test]
fn sighup_reads_the_files_of_destinations_anew() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let server = Arc::new(Mutex::new(mutual(&old)));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let (bodies, received) = channel();
    let current = Arc::clone(&server);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&current.lock().unwrap())).unwrap();
            // A handshake that fails is tried again by the proxy.
            if let Ok(body) = take_request(&mut StreamOwned::new(connection, stream.unwrap()))
                && bodies.send(body).is_err()
            {
                return;
            }
        }
    });
    let config = format!(
        "{LISTEN}export: {{ back: {{ http: '{url}', compression: none, retry: {{ initial: 10ms, max: 50ms }},\n  \
         tls: {{ ca_file: ca.pem, cert_file: client.pem, key_file: client.key }} }} }}\n"
    );
    let mut proxy = Proxy::launch_with(&config, |folder| identity(folder, &old));
    let admin = proxy.port("admin");
    proxy.until("readiness", || get(admin, "/readyz").starts_with("HTTP/1.1 200").then_some(()));
    assert!(post_span(proxy.port("http")).starts_with("HTTP/1.1 200"));
    received.recv_timeout(SOON).unwrap();

    *server.lock().unwrap() = mutual(&new);
    assert!(post_span(proxy.port("http")).starts_with("HTTP/1.1 200"));
    proxy.until("the trouble with the old files", || get(admin, "/status").contains("certificate").then_some(()));
    identity(proxy.folder.path(), &new);
    proxy.signal(Signal::SIGHUP);
    received.recv_timeout(SOON).expect("what waited goes out under the new certificates");
    assert_eq!(proxy.stop(), Some(0));
}

#[test]
fn an_admin_side_that_asks_for_certificates_is_asked_with_one() {
    let config = format!(
        "receive: {{ grpc: {{ listen: '127.0.0.1:0' }}, http: {{ listen: none }} }}\n\
         admin: {{ listen: '127.0.0.1:0', {} }}\n",
        TLS.replace(" }", ", client_ca_file: ca.pem }")
    );
    let clients = Authority::new("clients");
    let mut proxy = Proxy::launch_with(&config, |folder| {
        issue(folder, "servers");
        identity(folder, &clients);
    });
    let url = format!("https://{}", proxy.port("admin"));
    let folder = proxy.folder.path().to_owned();
    let status = |more: &[&str]| {
        let arguments = [&["status", "--admin", &url, "--ca", "servers.pem"], more].concat();
        ended(&tracemill(&folder, &arguments).output().unwrap())
    };
    let shown = ["--cert", "client.pem", "--key", "client.key"];
    proxy.until("readiness", || (status(&shown).0 == Some(0) && status(&shown).1.contains("ready")).then_some(()));
    let (code, text) = status(&[]);
    assert!(code == Some(1) && text.to_lowercase().contains("certificate"), "{text}");
    let (code, text) = status(&shown[..2]);
    assert!(code != Some(0) && text.contains("--key"), "{text}");
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
