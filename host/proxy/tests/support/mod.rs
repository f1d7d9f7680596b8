//! The binary as a process, in a folder of its own; a back end; and the shortest way to ask either.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub const SOON: Duration = Duration::from_mins(1);
const BETWEEN: Duration = Duration::from_millis(5);
/// One resource, one scope, one span named `GET /`: as short as OTLP gets.
pub const SPAN: &[u8] = &[
    0x0a, 0x29, 0x12, 0x27, 0x12, 0x25, 0x0a, 0x10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0x12, 0x08,
    1, 2, 3, 4, 5, 6, 7, 8, 0x2a, 0x05, b'G', b'E', b'T', b' ', b'/', 0x30, 0x01,
];

pub struct Proxy {
    pub child: Child,
    pub folder: tempfile::TempDir,
    pub ports: serde_json::Value,
}

impl Proxy {
    pub fn start(config: &str) -> Self {
        let (mut proxy, admin) = Self::launch(config);
        proxy.until("readiness", || get(admin, "/readyz").starts_with("HTTP/1.1 200").then_some(()));
        proxy
    }

    pub fn launch(config: &str) -> (Self, SocketAddr) {
        let proxy = Self::launch_with(config, |_| {});
        let admin = proxy.port("admin");
        (proxy, admin)
    }

    /// Starts it in a folder that has been prepared, and waits for its ports.
    pub fn launch_with(config: &str, prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("plugins")).unwrap();
        std::fs::write(folder.path().join("tracemill.yaml"), config).unwrap();
        prepare(folder.path());
        let mut command =
            tracemill(folder.path(), &["run", "--config", "tracemill.yaml", "--ports-file", "ports.json"]);
        let mut proxy = Self { child: command.spawn().unwrap(), folder, ports: serde_json::Value::Null };
        let ports = proxy.folder.path().join("ports.json");
        let text = proxy.until("the ports file", || std::fs::read_to_string(&ports).ok());
        proxy.ports = serde_json::from_str(&text).unwrap();
        proxy
    }

    pub fn until<T>(&mut self, what: &str, found: impl Fn() -> Option<T>) -> T {
        let until = Instant::now() + SOON;
        loop {
            if let Some(found) = found() {
                return found;
            }
            assert!(self.child.try_wait().unwrap().is_none(), "it has ended while {what} was waited for");
            assert!(Instant::now() < until, "waited for {what}");
            std::thread::sleep(BETWEEN);
        }
    }

    pub fn port(&self, name: &str) -> SocketAddr {
        self.ports[name].as_str().unwrap().parse().unwrap()
    }

    pub fn status(&self) -> serde_json::Value {
        let answer = get(self.port("admin"), "/status");
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    pub fn stop(mut self) -> Option<i32> {
        self.stop_and_keep()
    }

    /// The same, and keeps its folder.
    pub fn stop_and_keep(&mut self) -> Option<i32> {
        self.signal(Signal::SIGTERM);
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

pub fn tracemill(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tracemill"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    for name in
        ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "TRACEMILL_CONFIG", "TRACEMILL_LOG"]
    {
        command.env_remove(name);
    }
    command
}

pub fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

pub fn get(address: SocketAddr, path: &str) -> String {
    exchange(address, format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
}

pub fn post_span(address: SocketAddr) -> String {
    exchange(address, &span_request("close"))
}

/// A request with [`SPAN`], and what becomes of its connection.
pub fn span_request(connection: &str) -> Vec<u8> {
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\nconnection: {connection}\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
        SPAN.len()
    );
    [head.as_bytes(), SPAN].concat()
}

/// A back end for OTLP/HTTP that takes every request and hands over its body.
pub fn back_end() -> (SocketAddr, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (bodies, received) = sync_channel(16);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            if bodies.send(take_request(&mut stream.unwrap()).unwrap()).is_err() {
                return;
            }
        }
    });
    (address, received)
}

/// Takes one request, with its answer, and hands over its body.
pub fn take_request(stream: &mut (impl Read + Write)) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let body = loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&buffer[..read]);
        let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if bytes.len() >= head + 4 + length.expect("a length") {
            break bytes[head + 4..].to_vec();
        }
    };
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
    stream.flush()?;
    Ok(body)
}

pub fn ended(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned())
}

pub const LISTEN: &str =
    "receive: { grpc: { listen: '127.0.0.1:0' }, http: { listen: '127.0.0.1:0' } }\nadmin: { listen: '127.0.0.1:0' }\n";
