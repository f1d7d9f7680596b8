//! What gRPC and OTLP put around a message: frames, compressions, `google.rpc.Status` with `RetryInfo`.

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bytes::{Buf, BufMut as _, Bytes, BytesMut};
use prost::Message as _;
use std::io::Read as _;
use std::time::Duration;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As it is.
    None,
    /// gzip, level 6 as the SDKs have it.
    Gzip,
    /// zstd, level 3.
    Zstd,
}

impl Compression {
    /// Its name in `content-encoding` and `grpc-encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// By its name in a header; absent means none.
    pub fn named(name: Option<&str>) -> Result<Self> {
        match name {
            None | Some("identity" | "") => Ok(Self::None),
            Some("gzip") => Ok(Self::Gzip),
            Some("zstd") => Ok(Self::Zstd),
            Some(other) => bail!("unknown compression {other}"),
        }
    }

    /// Compresses.
    pub fn pack(self, bytes: &Bytes) -> Result<Bytes> {
        use std::io::Write as _;
        Ok(match self {
            Self::None => bytes.clone(),
            Self::Gzip => {
                let mut into = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
                into.write_all(bytes)?;
                into.finish()?.into()
            }
            Self::Zstd => zstd::encode_all(&bytes[..], 3)?.into(),
        })
    }

    /// Undoes it.
    pub fn unpack(self, bytes: &Bytes) -> Result<Bytes> {
        let mut out = Vec::new();
        match self {
            Self::None => return Ok(bytes.clone()),
            Self::Gzip => flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut out)?,
            Self::Zstd => zstd::Decoder::new(&bytes[..])?.read_to_end(&mut out)?,
        };
        Ok(out.into())
    }
}

/// A message in a gRPC frame.
pub fn frame(message: &Bytes, compression: Compression) -> Result<Bytes> {
    let packed = compression.pack(message)?;
    let mut out = BytesMut::with_capacity(packed.len() + 5);
    out.put_u8(u8::from(compression != Compression::None));
    out.put_u32(u32::try_from(packed.len())?);
    out.put(packed);
    Ok(out.freeze())
}

/// The message in a gRPC body of exactly one frame.
pub fn unframe(body: &Bytes, compression: Compression) -> Result<Bytes> {
    ensure!(body.len() >= 5, "a gRPC body of {} bytes", body.len());
    let length = u32::from_be_bytes(body[1..5].try_into()?) as usize;
    ensure!(body.len() == 5 + length, "a frame of {length} bytes in a body of {}", body.len());
    let message = body.slice(5..);
    if body[0] == 1 { compression.unpack(&message) } else { Ok(message) }
}

/// Leaves the message of a gRPC body of exactly one frame, which must not be compressed.
pub(crate) fn step_into_frame(body: &mut impl Buf) -> Result<()> {
    ensure!(body.remaining() >= 5, "a gRPC body of {} bytes", body.remaining());
    ensure!(body.get_u8() == 0, "a compressed frame in a call without a compression");
    let length = body.get_u32() as usize;
    ensure!(body.remaining() == length, "a frame of {length} bytes before {} bytes", body.remaining());
    Ok(())
}

/// `google.rpc.Status`, as far as OTLP uses it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Status {
    /// The gRPC code.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// For people.
    #[prost(string, tag = "2")]
    pub message: String,
    /// `RetryInfo` among them.
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<prost_types::Any>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<prost_types::Duration>,
}

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

impl Status {
    /// A status, with `RetryInfo` where a delay is given.
    pub fn new(code: i32, message: &str, delay: Option<Duration>) -> Self {
        let info = delay.map(|delay| prost_types::Any {
            type_url: RETRY_INFO.to_owned(),
            value: RetryInfo {
                retry_delay: Some(prost_types::Duration {
                    seconds: delay.as_secs().cast_signed(),
                    nanos: delay.subsec_nanos().cast_signed(),
                }),
            }
            .encode_to_vec(),
        });
        Self { code, message: message.to_owned(), details: info.into_iter().collect() }
    }

    /// The delay in its `RetryInfo`.
    pub fn retry_delay(&self) -> Result<Option<Duration>> {
        let Some(info) = self.details.iter().find(|detail| detail.type_url == RETRY_INFO) else { return Ok(None) };
        let delay = RetryInfo::decode(&info.value[..])?.retry_delay.unwrap_or_default();
        let seconds = u64::try_from(delay.seconds).context("a negative retry delay")?;
        Ok(Some(Duration::new(seconds, u32::try_from(delay.nanos)?)))
    }

    /// As `grpc-status-details-bin` carries it.
    pub fn to_header(&self) -> String {
        STANDARD_NO_PAD.encode(self.encode_to_vec())
    }

    /// From `grpc-status-details-bin`; padding may be there or not.
    pub fn from_header(text: &str) -> Result<Self> {
        let bytes = if text.ends_with('=') { STANDARD.decode(text) } else { STANDARD_NO_PAD.decode(text) };
        Ok(Self::decode(&bytes.context("grpc-status-details-bin")?[..])?)
    }
}
