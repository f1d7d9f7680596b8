//! HTTP/2 frame by frame: a client that does nothing by itself, so that tests see what the server does.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// `POST http://x/`, as HPACK.
pub const POST: &[u8] = &[0x83, 0x86, 0x84, 0x41, 0x01, b'x'];

/// HTTP/2's own window, before anybody has enlarged it.
pub const FIRST_WINDOW: u32 = 65_535;

pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The settings of a `SETTINGS` frame by their numbers.
    pub fn settings(&self) -> HashMap<u16, u32> {
        let pair = |six: &[u8]| (u16::from_be_bytes([six[0], six[1]]), u32_of(&six[2..]));
        self.payload.chunks_exact(6).map(pair).collect()
    }

    /// Why a `RST_STREAM` or `GOAWAY` frame was sent.
    pub fn error(&self) -> u32 {
        u32_of(&self.payload[if self.kind == GOAWAY { 4 } else { 0 }..])
    }

    /// By how much a `WINDOW_UPDATE` frame enlarges the window.
    pub fn increment(&self) -> u32 {
        u32_of(&self.payload)
    }
}

fn u32_of(four: &[u8]) -> u32 {
    u32::from_be_bytes([four[0], four[1], four[2], four[3]])
}

/// A frame as it is written.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&[length[1], length[2], length[3], kind, flags], &stream.to_be_bytes()[..], payload].concat()
}

pub struct Frames(TcpStream);

impl Frames {
    /// Connects and says what every client says first.
    pub async fn connect(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut this = Self(stream);
        this.write(SETTINGS, 0, &[]).await.unwrap();
        this
    }

    pub async fn write(&mut self, kind: u8, flags: u8, payload: &[u8]) -> io::Result<()> {
        self.0.write_all(&frame(kind, flags, 0, payload)).await
    }

    /// Writes frames at once.
    pub async fn write_all(&mut self, frames: impl IntoIterator<Item = Vec<u8>>) -> io::Result<()> {
        self.0.write_all(&frames.into_iter().collect::<Vec<_>>().concat()).await
    }

    /// The next frame; nothing once the server has closed the connection.
    pub async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let mut payload = vec![0; u32_of(&[0, head[0], head[1], head[2]]) as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Frame { kind: head[3], flags: head[4], stream: u32_of(&head[5..]), payload })
    }

    /// The next frame of a kind that is no acknowledgement; nothing once the server has closed the connection.
    pub async fn next_of(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if frame.kind == kind && frame.flags & ACK == 0 {
                return Some(frame);
            }
        }
    }
}
