//! A way to a back end that can be made long: what it answers is held back for a while.

use anyhow::{Context as _, Result};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// A port whose connections go on to another one on loopback; gone when dropped, with its connections.
#[derive(Debug)]
pub struct Gate {
    address: SocketAddr,
    delay: watch::Sender<Duration>,
    server: JoinHandle<()>,
}

impl Gate {
    /// One without delay.
    pub async fn to(port: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("binding the gate")?;
        let address = listener.local_addr()?;
        let (delay, heard) = watch::channel(Duration::ZERO);
        Ok(Self { address, delay, server: tokio::spawn(serve(listener, port, heard)) })
    }

    /// `http://host:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How long each piece of an answer is held back from now on. Those that are held already are let go.
    pub fn delay(&self, delay: Duration) {
        self.delay.send_replace(delay);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, port: u16, delay: watch::Receiver<Duration>) {
    let mut connections = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        connections.spawn(pass(near, port, delay.clone()));
    }
}

async fn pass(near: TcpStream, port: u16, delay: watch::Receiver<Duration>) -> std::io::Result<()> {
    let far = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut asked, answer) = near.into_split();
    let (answered, mut question) = far.into_split();
    tokio::select! {
        ended = copy(&mut asked, &mut question) => ended.map(drop),
        ended = hold_back(answered, answer, delay) => ended,
    }
}

async fn hold_back(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut delay: watch::Receiver<Duration>,
) -> std::io::Result<()> {
    let mut piece = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut piece).await?;
        if read == 0 {
            return Ok(());
        }
        let now = *delay.borrow_and_update();
        tokio::select! {
            () = tokio::time::sleep(now) => {}
            _ = delay.changed() => {}
        }
        to.write_all(&piece[..read]).await?;
    }
}

#[cfg(test)]
mod tests {
    //! Answers come through, later where that is asked for.

    use super::*;
    use crate::{Client, Generator, Profile, Protocol, Sink};
    use std::time::Instant;

    #[tokio::test]
    async fn answers_are_held_back_until_the_delay_is_over_or_taken_away() -> Result<()> {
        const LONG: Duration = Duration::from_millis(300);
        let sink = Sink::start().await?;
        let gate = Gate::to(sink.address().port()).await?;
        let client = Client::new(Protocol::HttpProtobuf, gate.url().trim_start_matches("http://"));
        let mut generator = Generator::new(Profile::Small, 211);
        assert!(client.send(&generator.request(3).request).await?.is_whole());
        gate.delay(LONG);
        let started = Instant::now();
        assert!(client.send(&generator.request(3).request).await?.is_whole());
        assert!(started.elapsed() >= LONG, "{:?}", started.elapsed());
        gate.delay(Duration::from_hours(1));
        let request = generator.request(3).request;
        let waiting = tokio::spawn(async move { client.send(&request).await });
        sink.wait_for_spans(9).await?;
        gate.delay(Duration::ZERO);
        assert!(waiting.await??.is_whole());
        Ok(())
    }
}
