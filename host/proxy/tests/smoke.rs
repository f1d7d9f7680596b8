//! The binary as a user runs it: start, ready, one request each way in, out at a back end, a wrong configuration, a reload, the end.
#![expect(clippy::unwrap_used, reason = "these are tests, helpers included")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const SOON: Duration = Duration::from_mins(1);
/// One resource, one scope, one span named `GET /`: as short as OTLP gets.
const SPAN: &[u8] = &[
    0x0a, 0x29, 0x12, 0x27, 0x12, 0x25, 0x0a, 0x10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0x12, 0x08,
    1, 2, 3, 4, 5, 6, 7, 8, 0x2a, 0x05, b'G', b'E', b'T', b' ', b'/', 0x30, 0x01,
];

struct Proxy {
    child: Child,
    folder: tempfile::TempDir,
    ports: serde_json::Value,
}

impl Proxy {
    fn start(config: &str) -> Self {
        let (mut proxy, admin) = Self::launch(config);
        proxy.until("readiness", || get(admin, "/readyz").starts_with("HTTP/1.1 200").then_some(()));
        proxy
    }

    fn launch(config: &str) -> (Self, SocketAddr) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("plugins")).unwrap();
        std::fs::write(folder.path().join("tracemill.yaml"), config).unwrap();
        let mut command =
            tracemill(folder.path(), &["run", "--config", "tracemill.yaml", "--ports-file", "ports.json"]);
        let mut proxy = Self { child: command.spawn().unwrap(), folder, ports: serde_json::Value::Null };
        let ports = proxy.folder.path().join("ports.json");
        let text = proxy.until("the ports file", || std::fs::read_to_string(&ports).ok());
        proxy.ports = serde_json::from_str(&text).unwrap();
        let admin = proxy.port("admin");
        (proxy, admin)
    }

    fn until<T>(&mut self, what: &str, found: impl Fn() -> Option<T>) -> T {
        let until = Instant::now() + SOON;
        loop {
            if let Some(found) = found() {
                return found;
            }
            assert!(self.child.try_wait().unwrap().is_none(), "it has ended while {what} was waited for");
            assert!(Instant::now() < until, "waited for {what}");
            std::thread::yield_now();
        }
    }

    fn port(&self, name: &str) -> SocketAddr {
        self.ports[name].as_str().unwrap().parse().unwrap()
    }

    fn status(&self) -> serde_json::Value {
        let answer = get(self.port("admin"), "/status");
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    fn stop(mut self) -> Option<i32> {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Already gone where a test has stopped it.
        let _gone = self.child.kill();
        let _waited = self.child.wait();
    }
}

fn tracemill(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tracemill"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    for name in
        ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "TRACEMILL_CONFIG", "TRACEMILL_LOG"]
    {
        command.env_remove(name);
    }
    command
}

fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(address: SocketAddr, path: &str) -> String {
    exchange(address, format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
}

fn post_span(address: SocketAddr) -> String {
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
        SPAN.len()
    );
    exchange(address, &[head.as_bytes(), SPAN].concat())
}

/// A back end for OTLP/HTTP that takes every request and hands over its body.
fn back_end() -> (SocketAddr, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (bodies, received) = sync_channel(16);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = Vec::new();
            let mut buffer = [0; 4096];
            let body = loop {
                let read = stream.read(&mut buffer).unwrap();
                bytes.extend_from_slice(&buffer[..read]);
                let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
                let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
                let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
                if bytes.len() >= head + 4 + length.expect("a length") {
                    break bytes[head + 4..].to_vec();
                }
            };
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
            if bodies.send(body).is_err() {
                return;
            }
        }
    });
    (address, received)
}

fn ended(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned())
}

const LISTEN: &str =
    "receive: { grpc: { listen: '127.0.0.1:0' }, http: { listen: '127.0.0.1:0' } }\nadmin: { listen: '127.0.0.1:0' }\n";

#[test]
fn a_span_comes_in_and_goes_out_byte_for_byte_and_the_end_is_clean() {
    let (address, received) = back_end();
    let proxy =
        Proxy::start(&format!("{LISTEN}export: {{ sink: {{ http: 'http://{address}', compression: none }} }}\n"));
    let answer = post_span(proxy.port("http"));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(received.recv_timeout(SOON).unwrap(), SPAN);
    let metrics = get(proxy.port("admin"), "/metrics");
    assert!(metrics.contains("tracemill_receive_spans_total 1"), "{metrics}");
    assert!(metrics.contains("application/openmetrics-text"), "{metrics}");
    assert!(get(proxy.port("admin"), "/").contains("<title>tracemill</title>"));
    assert_eq!(proxy.stop(), Some(0));
}

#[test]
fn what_cannot_be_delivered_in_time_shows_in_the_exit_code() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = format!("{LISTEN}export: {{ sink: {{ http: 'http://{nobody}' }} }}\nshutdown: {{ timeout: 500ms }}\n");
    let proxy = Proxy::start(&config);
    assert!(post_span(proxy.port("http")).starts_with("HTTP/1.1 200"));
    assert_eq!(proxy.stop(), Some(2));
}

#[test]
fn a_changed_configuration_takes_effect_and_a_wrong_one_shows_in_the_status() {
    let (address, received) = back_end();
    let mut proxy = Proxy::start(LISTEN);
    let file = proxy.folder.path().join("tracemill.yaml");
    std::fs::write(&file, format!("{LISTEN}export: {{ sink: {{ http: 'http://{address}', compression: none }} }}\n"))
        .unwrap();
    let admin = proxy.port("admin");
    proxy.until("the destination", || get(admin, "/status").contains("\"name\":\"sink\"").then_some(()));
    assert!(post_span(proxy.port("http")).starts_with("HTTP/1.1 200"));
    assert_eq!(received.recv_timeout(SOON).unwrap(), SPAN);
    std::fs::write(&file, "exprot: {}\n").unwrap();
    proxy.until("the error", || get(admin, "/status").contains("did you mean export?").then_some(()));
    assert_eq!(proxy.status()["destinations"][0]["name"], "sink");
    let shown = tracemill(proxy.folder.path(), &["status", "--admin", &admin.to_string()]).output().unwrap();
    let (code, text) = ended(&shown);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("was not reloaded") && text.contains("sink"), "{text}");
    assert_eq!(proxy.stop(), Some(0));
}

#[test]
fn a_broken_plugin_is_said_and_holds_nothing_up() {
    let mut proxy = Proxy::start(LISTEN);
    std::fs::write(proxy.folder.path().join("plugins/10-x.wasm"), "not wasm").unwrap();
    let admin = proxy.port("admin");
    proxy.until("the error", || get(admin, "/plugins").contains("it is not WebAssembly").then_some(()));
    assert!(post_span(proxy.port("http")).starts_with("HTTP/1.1 200"));
    assert_eq!(proxy.stop(), Some(0));
}

#[test]
fn a_wrong_configuration_or_command_line_exits_64() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.yaml"), "recieve: {}\nadmin: { listen: 1 }\n").unwrap();
    for command in [
        &["check", "--config", "bad.yaml"][..],
        &["run", "--config", "bad.yaml"],
        &["run", "--config", "none.yaml"],
        &["rum"],
    ] {
        let (code, text) = ended(&tracemill(folder.path(), command).output().unwrap());
        assert_eq!(code, Some(64), "{command:?}: {text}");
    }
    let (_, text) = ended(&tracemill(folder.path(), &["check", "--config", "bad.yaml"]).output().unwrap());
    assert!(text.contains("bad.yaml:1:1: recieve: unknown key, did you mean receive?"), "{text}");
    assert!(text.contains("bad.yaml:2:18: admin.listen") && text.contains("2 errors"), "{text}");
}

#[test]
fn a_port_that_is_taken_is_a_failed_start() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = format!("receive: {{ grpc: {{ listen: '{}' }} }}\n", taken.local_addr().unwrap());
    std::fs::write(folder.path().join("taken.yaml"), config).unwrap();
    let (code, text) = ended(&tracemill(folder.path(), &["run", "--config", "taken.yaml"]).output().unwrap());
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("another process"), "{text}");
}

#[test]
fn nobody_there_is_a_failed_status() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (code, text) = ended(&tracemill(folder.path(), &["status", "--admin", &nobody.to_string()]).output().unwrap());
    assert_eq!(code, Some(1), "{text}");
}

#[test]
fn receivers_stay_closed_while_a_required_plugin_is_missing() {
    let config = format!("{LISTEN}plugins: {{ required: [scrub-pii] }}\n");
    let (mut proxy, admin) = Proxy::launch(&config);
    let reason = proxy.until("a reason", || {
        let answer = get(admin, "/readyz");
        answer.contains("scrub-pii is required").then_some(answer)
    });
    assert!(reason.starts_with("HTTP/1.1 503"), "{reason}");
    assert!(TcpStream::connect(proxy.port("http")).is_err(), "nobody may connect");
    assert_eq!(proxy.stop(), Some(0));
}
