//! Compresses request bodies. Contexts and buffers belong to the thread and are used again: a context for each message
//! doubles the price of small batches.

use std::cell::RefCell;

use bytes::Bytes;
use libdeflater::{CompressionLvl, Compressor as Deflater};

use super::config::Compression;

/// From this size on a body is compressed off the runtime's threads, which have sockets to serve: about half a
/// millisecond of gzip at level 1.
const OFFLOAD: usize = 256 << 10;

/// Buffers larger than this are not kept.
const KEPT: usize = 4 << 20;

/// A body could not be compressed: the codec's own words.
#[derive(Debug, thiserror::Error)]
#[error("cannot compress a request: {0}")]
pub(super) struct CodecError(String);

/// Compresses the chunks as one body; `None` where the codec is none.
pub(super) async fn compress(compression: Compression, chunks: &[Bytes]) -> Result<Option<Bytes>, CodecError> {
    if compression == Compression::None {
        return Ok(None);
    }
    let len: usize = chunks.iter().map(Bytes::len).sum();
    if len < OFFLOAD {
        return compress_here(compression, chunks).map(Some);
    }
    let chunks = chunks.to_vec();
    let done = tokio::task::spawn_blocking(move || compress_here(compression, &chunks)).await;
    done.map_err(|error| CodecError(error.to_string()))?.map(Some)
}

/// The names of codecs in HTTP and gRPC headers.
pub(super) fn name(compression: Compression) -> Option<&'static str> {
    match compression {
        Compression::None => None,
        Compression::Gzip(_) => Some("gzip"),
        Compression::Zstd(_) => Some("zstd"),
    }
}

#[derive(Default)]
struct Contexts {
    gzip: Option<(u8, Deflater)>,
    zstd: Option<(u8, zstd::bulk::Compressor<'static>)>,
    joined: Vec<u8>,
    out: Vec<u8>,
}

thread_local! {
    static CONTEXTS: RefCell<Contexts> = RefCell::default();
}

fn compress_here(compression: Compression, chunks: &[Bytes]) -> Result<Bytes, CodecError> {
    CONTEXTS.with_borrow_mut(|contexts| contexts.compress(compression, chunks))
}

impl Contexts {
    fn compress(&mut self, compression: Compression, chunks: &[Bytes]) -> Result<Bytes, CodecError> {
        let mut joined = std::mem::take(&mut self.joined);
        let input: &[u8] = if let [only] = chunks {
            only
        } else {
            joined.clear();
            for chunk in chunks {
                joined.extend_from_slice(chunk);
            }
            &joined
        };
        let len = match compression {
            Compression::None => unreachable!("asked for by nobody"),
            Compression::Gzip(level) => self.gzip(level, input)?,
            Compression::Zstd(level) => self.zstd(level, input)?,
        };
        // Exactly as much as is sent is held while it is sent.
        let compressed = Bytes::copy_from_slice(&self.out[..len]);
        if joined.capacity() <= KEPT {
            self.joined = joined;
        }
        if self.out.capacity() > KEPT {
            self.out = Vec::new();
        }
        Ok(compressed)
    }

    fn gzip(&mut self, level: u8, input: &[u8]) -> Result<usize, CodecError> {
        if self.gzip.as_ref().is_none_or(|(at, _)| *at != level) {
            let level_in_range = CompressionLvl::new(i32::from(level.clamp(1, 12)))
                .map_err(|error| CodecError(format!("gzip has no such level: {error:?}")))?;
            self.gzip = Some((level, Deflater::new(level_in_range)));
        }
        let (_, deflater) = self.gzip.as_mut().expect("made above");
        let bound = deflater.gzip_compress_bound(input.len());
        if self.out.len() < bound {
            self.out.resize(bound, 0);
        }
        deflater.gzip_compress(input, &mut self.out).map_err(|error| CodecError(error.to_string()))
    }

    fn zstd(&mut self, level: u8, input: &[u8]) -> Result<usize, CodecError> {
        if self.zstd.as_ref().is_none_or(|(at, _)| *at != level) {
            let compressor = zstd::bulk::Compressor::new(i32::from(level.clamp(1, 19)))
                .map_err(|error| CodecError(error.to_string()))?;
            self.zstd = Some((level, compressor));
        }
        let (_, compressor) = self.zstd.as_mut().expect("made above");
        let bound = zstd::zstd_safe::compress_bound(input.len());
        if self.out.len() < bound {
            self.out.resize(bound, 0);
        }
        compressor.compress_to_buffer(input, self.out.as_mut_slice()).map_err(|error| CodecError(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn chunks() -> Vec<Bytes> {
        (0..3u8).map(|n| Bytes::from(vec![n; 1000 << n])).collect()
    }

    #[test]
    fn several_chunks_become_one_stream_at_any_level() {
        let joined = chunks().concat();
        for level in [0, 1, 6, 12, 255] {
            let gzip = compress_here(Compression::Gzip(level), &chunks()).unwrap();
            let mut back = Vec::new();
            flate2::read::MultiGzDecoder::new(&gzip[..]).read_to_end(&mut back).unwrap();
            assert_eq!(back, joined);
            let zstd = compress_here(Compression::Zstd(level), &chunks()).unwrap();
            assert_eq!(zstd::decode_all(&zstd[..]).unwrap(), joined);
        }
    }

    #[tokio::test]
    async fn large_bodies_are_compressed_elsewhere_to_the_same() {
        let large = [Bytes::from(vec![7; OFFLOAD])];
        let sent = compress(Compression::ZSTD, &large).await.unwrap().unwrap();
        assert_eq!(sent, compress_here(Compression::ZSTD, &large).unwrap());
        assert_eq!(compress(Compression::None, &large).await.unwrap(), None);
    }
}
