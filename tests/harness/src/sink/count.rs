//! Counts the spans of a request without decoding it: only the frames of the messages that lead to them are looked at.

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Buf;
use prost::encoding::{WireType, decode_key, decode_varint};

/// The fields that lead from a request to a span: `resource_spans`, `scope_spans`, `spans`.
const PATH: [u32; 3] = [1, 2, 2];

/// How many spans there are in an encoded `ExportTraceServiceRequest`.
pub(super) fn spans(mut message: impl Buf) -> Result<u64> {
    let length = message.remaining();
    below(&mut message, length, &PATH)
}

/// The spans in the next `length` bytes.
fn below(message: &mut impl Buf, length: usize, path: &[u32]) -> Result<u64> {
    let Some((&wanted, rest)) = path.split_first() else {
        message.advance(length);
        return Ok(1);
    };
    let end = message.remaining().checked_sub(length).context("a message that ends before it says")?;
    let mut found = 0;
    while message.remaining() > end {
        let (tag, kind) = decode_key(message)?;
        let skipped = match kind {
            WireType::Varint => {
                decode_varint(message)?;
                0
            }
            WireType::SixtyFourBit => 8,
            WireType::ThirtyTwoBit => 4,
            WireType::LengthDelimited => {
                let length = usize::try_from(decode_varint(message)?)?;
                ensure!(message.remaining() >= length + end, "a field that ends after its message");
                if tag == wanted {
                    found += below(message, length, rest)?;
                    0
                } else {
                    length
                }
            }
            WireType::StartGroup | WireType::EndGroup => bail!("groups are none of OTLP's"),
        };
        ensure!(message.remaining() >= skipped + end, "a field that ends after its message");
        message.advance(skipped);
    }
    ensure!(message.remaining() == end, "a field that ends after its message");
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Generator, Profile};
    use bytes::Bytes;
    use prost::Message as _;

    #[test]
    fn counts_what_decoding_counts_and_refuses_what_is_cut() {
        let mut generator = Generator::new(Profile::Medium, 11);
        let (mut request, more) = (generator.request(3).request, generator.request(4).request);
        request.resource_spans.extend(more.resource_spans);
        let bytes: Bytes = request.encode_to_vec().into();
        assert_eq!(spans(bytes.clone()).unwrap(), 7);
        assert_eq!(spans(&[][..]).unwrap(), 0);
        for cut in [1, 10, bytes.len() / 2, bytes.len() - 1] {
            spans(bytes.slice(..cut)).unwrap_err();
            // In pieces, as it comes from a connection.
            assert_eq!(spans(bytes.slice(..cut).chain(bytes.slice(cut..))).unwrap(), 7);
        }
        spans(&b"no message"[..]).unwrap_err();
    }
}
