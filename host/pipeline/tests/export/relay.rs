//! Stands between an exporter and its back end, and cuts connections after so many bytes.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// After how many bytes a connection is cut.
#[derive(Debug, Clone, Copy)]
pub enum Cut {
    Requests(usize),
    Answers(usize),
}

/// A running relay.
pub struct Relay {
    pub address: SocketAddr,
    cuts: Arc<Mutex<VecDeque<Cut>>>,
}

impl Relay {
    /// Cuts one connection after another so, and those that come later never.
    pub async fn start(to: SocketAddr, cuts: impl IntoIterator<Item = Cut>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cuts = Arc::new(Mutex::new(cuts.into_iter().collect::<VecDeque<_>>()));
        let next = Arc::clone(&cuts);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let cut = next.lock().pop_front();
                tokio::spawn(relay(client, to, cut));
            }
        });
        Self { address, cuts }
    }

    /// How many connections are still to be cut.
    pub fn cuts_to_come(&self) -> usize {
        self.cuts.lock().len()
    }
}

async fn relay(client: TcpStream, to: SocketAddr, cut: Option<Cut>) {
    let server = TcpStream::connect(to).await.unwrap();
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let (requests, answers) = match cut {
        None => (usize::MAX, usize::MAX),
        Some(Cut::Requests(bytes)) => (bytes, usize::MAX),
        Some(Cut::Answers(bytes)) => (usize::MAX, bytes),
    };
    // Both ways end at once, as when a cable is pulled; what either side does about it is its own affair.
    tokio::select! {
        ended = copy(from_client, to_server, requests) => drop(ended),
        ended = copy(from_server, to_client, answers) => drop(ended),
    }
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut left: usize) -> io::Result<()> {
    let mut buffer = vec![0; 4096];
    while left > 0 {
        let most = left.min(buffer.len());
        let read = from.read(&mut buffer[..most]).await?;
        if read == 0 {
            break;
        }
        to.write_all(&buffer[..read]).await?;
        left -= read;
    }
    Ok(())
}
