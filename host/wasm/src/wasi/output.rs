//! What a guest writes to stdout or stderr: kept up to a bound, read by nobody but the journal.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// Shared by the guest's streams and the shell.
pub(super) type Buffer = Arc<Mutex<Pending>>;

/// Bytes of the current call.
#[derive(Debug)]
pub(super) struct Pending {
    bytes: Vec<u8>,
    limit: usize,
    /// Writes that did not fit.
    lost: u64,
}

impl Pending {
    pub(super) fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit, lost: 0 }
    }

    fn write(&mut self, bytes: &[u8]) {
        let room = self.limit - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.lost += u64::from(bytes.len() > room);
    }

    /// Hands over what is there, line by line, and answers how many writes did not fit.
    pub(super) fn drain(&mut self, mut line: impl FnMut(String)) -> u64 {
        for text in self.bytes.split(|byte| *byte == b'\n') {
            let text = String::from_utf8_lossy(text);
            let text = text.trim_end();
            if !text.is_empty() {
                line(text.to_owned());
            }
        }
        self.bytes.clear();
        std::mem::take(&mut self.lost)
    }
}

/// One of the guest's outputs.
pub(super) struct Captured(Buffer);

impl Captured {
    pub(super) fn new(buffer: &Buffer) -> Self {
        Self(Arc::clone(buffer))
    }
}

impl IsTerminal for Captured {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Captured {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Self(Arc::clone(&self.0)))
    }

    /// Only WASI 0.3 asks for it, which is not linked.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }
}

impl OutputStream for Captured {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.lock().write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    /// What one write may hold; what exceeds the bound is thrown away, for a guest must not wait for its log.
    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

#[async_trait]
impl Pollable for Captured {
    async fn ready(&mut self) {}
}
