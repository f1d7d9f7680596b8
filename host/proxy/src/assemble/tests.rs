//! The parts put together: what is open when, and to whom.

use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

/// On free ports, with an empty plugin folder.
fn started(folder: &Path) -> Proxy {
    let any = "{ listen: 127.0.0.1:0 }";
    let plugins = folder.display();
    let text = format!(
        "receive: {{ grpc: {any}, http: {any} }}\nadmin: {any}\nplugins: {{ folder: {plugins} }}\nthreads: 1\n"
    );
    let config = control::config::read("test.yaml", &text, &|_| None).unwrap();
    start(config, &cli::Run { config: None, ports_file: None }, Instant::now()).unwrap()
}

async fn ready(proxy: &Proxy) -> String {
    let mut stream = TcpStream::connect(proxy.admin.address()).await.unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn it_is_ready_once_its_receivers_are_open_and_not_when_its_plugins_are() {
    let folder = tempfile::tempdir().unwrap();
    let mut proxy = started(folder.path());
    let addresses = proxy.receivers.as_ref().map(|it| [it.grpc_address(), it.http_address()]).unwrap();
    proxy.opened().await;
    let answer = ready(&proxy).await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("the receivers are being opened"), "{answer}");
    proxy.open().unwrap();
    let answer = ready(&proxy).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for address in addresses {
        TcpStream::connect(address.unwrap()).await.unwrap();
    }
    assert_eq!(proxy.shutdown().await, End::Well);
}
