//! Compressed bodies, sound and unsound.

use anyhow::Result;
use bytes::Bytes;
use harness::Compression;
use std::io::Write as _;

/// gzip, one member.
pub fn gzip(bytes: &Bytes) -> Result<Bytes> {
    Compression::Gzip.pack(bytes)
}

/// gzip of several members, cut at this place.
pub fn members(bytes: &Bytes, at: usize) -> Result<Bytes> {
    Ok([gzip(&bytes.slice(..at))?, gzip(&bytes.slice(at..))?].concat().into())
}

/// So many zeros, gzipped about 1,000 : 1.
pub fn gzip_bomb(size: usize) -> Result<Bytes> {
    let mut into = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    zeros(size, &mut into)?;
    Ok(into.finish()?.into())
}

/// So many zeros, about 30,000 : 1.
pub fn zstd_bomb(size: usize) -> Result<Bytes> {
    let mut into = zstd::Encoder::new(Vec::new(), 3)?;
    zeros(size, &mut into)?;
    Ok(into.finish()?.into())
}

fn zeros(size: usize, into: &mut impl std::io::Write) -> Result<()> {
    let chunk = vec![0; 1 << 20];
    let mut left = size;
    while left > 0 {
        let now = left.min(chunk.len());
        into.write_all(&chunk[..now])?;
        left -= now;
    }
    Ok(())
}

/// A sound message in a zstd frame that asks for a window of 2 GiB. At most 100 KiB.
pub fn zstd_of_huge_window(bytes: &Bytes) -> Result<Bytes> {
    const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
    const NO_SIZE_NO_CHECKSUM: u8 = 0;
    const WINDOW_OF_2_GIB: u8 = 21 << 3;
    const LAST_RAW_BLOCK: u32 = 1;
    let block = ((u32::try_from(bytes.len())? << 3) | LAST_RAW_BLOCK).to_le_bytes();
    let mut frame = MAGIC.to_vec();
    frame.write_all(&[NO_SIZE_NO_CHECKSUM, WINDOW_OF_2_GIB])?;
    frame.write_all(&block[..3])?;
    frame.write_all(bytes)?;
    Ok(frame.into())
}
