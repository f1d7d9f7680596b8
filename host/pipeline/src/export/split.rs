//! Cuts a request that is larger than a back end may be sent, between its `ResourceSpans`. Nothing is copied.

use bytes::Bytes;
use otlp::wire::{Payload, Reader, Slice, WireError};

/// What a request was cut into.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pieces {
    /// Each within the limit.
    pub fitting: Vec<Piece>,
    /// Spans of resources that are over the limit alone.
    pub oversize_spans: u32,
}

/// A request of its own.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Piece {
    pub body: Bytes,
    pub spans: u32,
}

/// Cuts a request of `spans` spans into pieces of at most `limit` bytes. All spans of a request that cannot be read count as
/// oversize: it is too large as it is, and nobody can say where to cut it.
pub(super) fn split(body: &Bytes, spans: u32, limit: usize) -> Pieces {
    cut(body, limit).unwrap_or(Pieces { fitting: Vec::new(), oversize_spans: spans })
}

fn cut(body: &Bytes, limit: usize) -> Result<Pieces, WireError> {
    let mut pieces = Pieces::default();
    let (mut start, mut end, mut spans) = (0usize, 0usize, 0u32);
    let mut reader = Reader::new(body);
    while let Some(field) = reader.next()? {
        let field_spans = match field.payload {
            Payload::Bytes(resource) if field.number == 1 => spans_of_resource(body, resource)?,
            _ => 0,
        };
        let (at, to) = (field.start as usize, field.end as usize);
        if to - start > limit {
            flush(&mut pieces, body, start, end, spans);
            (start, spans) = (at, 0);
        }
        end = to;
        if to - at > limit {
            pieces.oversize_spans += field_spans;
            start = to;
        } else {
            spans += field_spans;
        }
    }
    flush(&mut pieces, body, start, end, spans);
    Ok(pieces)
}

fn flush(pieces: &mut Pieces, body: &Bytes, start: usize, end: usize, spans: u32) {
    if end > start {
        pieces.fitting.push(Piece { body: body.slice(start..end), spans });
    }
}

fn spans_of_resource(body: &[u8], resource: Slice) -> Result<u32, WireError> {
    count_in(body, resource, &|scope| count_in(body, scope, &|_| Ok(1)))
}

/// Adds up the messages in field 2 of a message: scopes of a resource, spans of a scope.
fn count_in(body: &[u8], message: Slice, each: &dyn Fn(Slice) -> Result<u32, WireError>) -> Result<u32, WireError> {
    let mut reader = Reader::within(body, message);
    let mut sum = 0;
    while let Some(field) = reader.next()? {
        if field.number == 2 {
            sum += each(field.bytes()?)?;
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use otlp::wire::put_bytes;

    use super::*;

    /// One resource with so many spans of so many bytes each.
    fn resource(spans: usize, bytes: usize) -> Vec<u8> {
        let mut scope = Vec::new();
        for _ in 0..spans {
            put_bytes(&mut scope, 2, &vec![0x2a; bytes]);
        }
        let mut resource = Vec::new();
        put_bytes(&mut resource, 2, &scope);
        let mut request = Vec::new();
        put_bytes(&mut request, 1, &resource);
        request
    }

    #[test]
    fn pieces_are_within_the_limit_and_join_to_what_was_cut() {
        let body = Bytes::from([resource(3, 50), resource(1, 20), resource(2, 90), resource(4, 10)].concat());
        for limit in 190..=body.len() {
            let pieces = split(&body, 10, limit);
            assert_eq!(pieces.oversize_spans, 0, "limit {limit}");
            assert!(pieces.fitting.iter().all(|piece| piece.body.len() <= limit));
            assert_eq!(pieces.fitting.iter().map(|piece| piece.spans).sum::<u32>(), 10);
            let joined: Vec<u8> = pieces.fitting.iter().flat_map(|piece| piece.body.to_vec()).collect();
            assert_eq!(joined, body);
        }
    }

    #[test]
    fn only_a_resource_that_is_too_large_alone_is_left_out() {
        let body = Bytes::from([resource(1, 10), resource(7, 100), resource(2, 10)].concat());
        let pieces = split(&body, 10, 100);
        assert_eq!(pieces.oversize_spans, 7);
        assert_eq!(pieces.fitting.iter().map(|piece| piece.spans).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn what_cannot_be_read_is_left_out_whole() {
        assert_eq!(split(&Bytes::from_static(&[0x0a, 0xff]), 5, 1), Pieces { fitting: Vec::new(), oversize_spans: 5 });
    }
}
