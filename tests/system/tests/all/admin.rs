//! Whoever reaches the admin side and is slow, silent or many holds up neither spans nor other clients.

use anyhow::{Result, ensure};
use harness::spans::Mix;
use harness::{Generator, Profile, Proxy, Sink, fetch};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

const CLIENTS: usize = 200;

#[tokio::test]
async fn slow_and_silent_admin_clients_hold_up_neither_spans_nor_others() -> Result<()> {
    let sink = Sink::start().await?;
    Proxy::setup()?
        .export_grpc("sink", &sink)
        .plugin("10-drop-health", "drop-health")?
        .run(async |proxy| {
            let mut clients = Vec::new();
            for number in 0..CLIENTS {
                let mut client = TcpStream::connect(&proxy.ports().admin).await?;
                // Some say nothing, some half a head, some ask and never read.
                let said: &[u8] = match number % 3 {
                    0 => b"",
                    1 => b"GET /metrics HTTP/1.1\r\nhost: ",
                    _ => b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n",
                };
                client.write_all(said).await?;
                clients.push(client);
            }
            let made = Generator::new(Profile::Small, 61).mix(Mix::PLAIN).request(50);
            ensure!(proxy.grpc().send(&made.request).await?.is_whole());
            sink.wait_for_spans(50).await?;
            ensure!(fetch::get(&proxy.admin("/healthz")).await?.status.is_success());
            drop(clients);
            Ok(())
        })
        .await
}
