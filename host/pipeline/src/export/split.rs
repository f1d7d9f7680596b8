//! Cuts a request that is larger than a back end may be sent, piece by piece: between its `ResourceSpans` where that is enough,
//! else between the `ScopeSpans` of one, else between the spans of one. Knows nothing of queues.
//!
//! Whatever a request, a `ResourceSpans` or a `ScopeSpans` holds beside what it is cut into (the resource, the schema's URL,
//! unknown fields) is repeated in each piece, byte for byte. Pieces are made one at a time: a large resource that is repeated for each
//! few spans costs the memory of one piece and not of all.

use bytes::Bytes;
use otlp::wire::{Field, Reader, Slice, WireError, field_len, put_bytes, put_header};

/// The fields that a request, a `ResourceSpans` and a `ScopeSpans` are cut into.
const ELEMENTS: [u32; 3] = [1, 2, 2];

/// What is cut off the front.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A request of its own within the limit, its spans, and whether its bytes are a copy.
    Fits { body: Bytes, spans: u32, is_copy: bool },
    /// So many spans that are over the limit alone, with what they need of their resource and scope; or all that are left,
    /// where nobody can say where to cut.
    Oversize(u32),
}

/// A request that is being cut.
#[derive(Debug)]
pub(super) struct Cutter {
    body: Bytes,
    limit: usize,
    /// How large a piece of a single span may be all the same.
    most: usize,
    /// What is left of the request, of the `ResourceSpans` that is being cut, and of the `ScopeSpans` in it.
    levels: Vec<Level>,
    /// How many spans are left.
    spans: u32,
}

/// A message that is being cut.
#[derive(Debug)]
struct Level {
    /// What is repeated.
    head: Vec<u8>,
    rest: Slice,
}

/// Elements of the innermost level that go into one piece.
#[derive(Debug, Default)]
struct Run {
    parts: Vec<Slice>,
    bytes: usize,
    spans: u32,
    /// Up to where the level was read.
    end: u32,
}

impl Cutter {
    /// Cuts a request of `spans` spans into pieces of at most `limit` bytes, or of one span that takes at most `most`.
    pub fn new(body: Bytes, spans: u32, limit: usize, most: usize) -> Self {
        let rest = Slice { at: 0, len: u32::try_from(body.len()).unwrap_or(u32::MAX) };
        let mut cutter = Self { body, limit, most: most.max(limit), levels: Vec::new(), spans };
        // What cannot be read has no level that could be cut.
        let _unreadable = cutter.open(rest);
        cutter
    }

    /// The next piece; `None` when nothing is left.
    pub fn next(&mut self) -> Option<Piece> {
        let piece = self.cut().ok().flatten().or_else(|| {
            self.levels.clear();
            (self.spans > 0).then_some(Piece::Oversize(self.spans))
        });
        if let Some(Piece::Fits { spans, .. } | Piece::Oversize(spans)) = piece {
            self.spans = self.spans.saturating_sub(spans);
        }
        piece
    }

    /// What is left, as one request of any size, and its spans.
    pub fn rest(&self) -> (Bytes, u32) {
        let Some((request, inner)) = self.levels.split_first() else { return (Bytes::new(), self.spans) };
        let following = if request.head.is_empty() {
            self.body.slice(request.rest.at as usize..request.rest.end() as usize)
        } else {
            self.elements(request, ELEMENTS[0], request.head.clone()).into()
        };
        let mut opened = Vec::new();
        for (depth, level) in inner.iter().enumerate().rev() {
            let mut message = level.head.clone();
            message.append(&mut opened);
            let message = self.elements(level, ELEMENTS[depth + 1], message);
            put_bytes(&mut opened, ELEMENTS[depth], &message);
        }
        let rest = if opened.is_empty() { following } else { [&opened[..], &following].concat().into() };
        (rest, self.spans)
    }

    /// What is left of a level's elements, behind what stands before them.
    fn elements(&self, level: &Level, element: u32, mut message: Vec<u8>) -> Vec<u8> {
        let mut reader = Reader::within(&self.body, level.rest);
        // All of it was read when it was opened.
        while let Ok(Some(field)) = reader.next() {
            if field.number == element {
                message.extend_from_slice(self.raw(&field));
            }
        }
        message
    }

    fn cut(&mut self) -> Result<Option<Piece>, WireError> {
        while !self.levels.is_empty() {
            let (run, beyond) = self.run()?;
            if run.spans > 0 {
                self.advance(run.end);
                return Ok(Some(self.piece(&run)));
            }
            let Some(field) = beyond else {
                self.levels.pop();
                continue;
            };
            self.advance(field.end);
            if self.levels.len() < ELEMENTS.len() {
                self.open(field.bytes()?)?;
                continue;
            }
            let alone = Run::default().with(&field, 1);
            let fits = self.wrapped_len(alone.bytes) <= self.most;
            return Ok(Some(if fits { self.piece(&alone) } else { Piece::Oversize(1) }));
        }
        Ok(None)
    }

    fn advance(&mut self, to: u32) {
        if let Some(level) = self.levels.last_mut() {
            level.rest = Slice::between(to, level.rest.end());
        }
    }

    /// Goes on inside a message that is too large itself: the request, or an element of the innermost level.
    fn open(&mut self, message: Slice) -> Result<(), WireError> {
        let element = ELEMENTS[self.levels.len()];
        let mut head = Vec::new();
        let mut reader = Reader::within(&self.body, message);
        while let Some(field) = reader.next()? {
            if field.number != element {
                head.extend_from_slice(self.raw(&field));
            }
        }
        self.levels.push(Level { head, rest: message });
        Ok(())
    }

    /// As many fields of the innermost level as fit into one piece, and the first that does not.
    fn run(&self) -> Result<(Run, Option<Field>), WireError> {
        let depth = self.levels.len() - 1;
        let rest = self.levels[depth].rest;
        let mut run = Run { end: rest.at, ..Run::default() };
        let mut reader = Reader::within(&self.body, rest);
        while let Some(field) = reader.next()? {
            // What else stands there is in the head already.
            if field.number == ELEMENTS[depth] {
                if self.wrapped_len(run.bytes + (field.end - field.start) as usize) > self.limit {
                    return Ok((run, Some(field)));
                }
                let spans = spans_of(&self.body, field.bytes()?, depth)?;
                run = run.with(&field, spans);
            }
            run.end = field.end;
        }
        Ok((run, None))
    }

    /// How large a request is with so many bytes on the innermost level.
    fn wrapped_len(&self, bytes: usize) -> usize {
        let inner = self.levels[1..].iter().zip(ELEMENTS);
        let inner = inner.rev().fold(bytes, |bytes, (level, number)| field_len(number, level.head.len() + bytes));
        self.levels[0].head.len() + inner
    }

    fn piece(&self, run: &Run) -> Piece {
        let spans = run.spans;
        let bytes = |part: &Slice| part.at as usize..part.end() as usize;
        if let ([request], [only]) = (&self.levels[..], &run.parts[..])
            && request.head.is_empty()
        {
            return Piece::Fits { body: self.body.slice(bytes(only)), spans, is_copy: false };
        }
        let mut body = Vec::with_capacity(run.bytes);
        for part in &run.parts {
            body.extend_from_slice(&self.body[bytes(part)]);
        }
        for (level, number) in self.levels[1..].iter().zip(ELEMENTS).rev() {
            let mut wrapped = Vec::with_capacity(field_len(number, level.head.len() + body.len()));
            put_header(&mut wrapped, number, level.head.len() + body.len());
            wrapped.extend_from_slice(&level.head);
            wrapped.append(&mut body);
            body = wrapped;
        }
        body.splice(0..0, self.levels[0].head.iter().copied());
        Piece::Fits { body: body.into(), spans, is_copy: true }
    }

    fn raw(&self, field: &Field) -> &[u8] {
        &self.body[field.start as usize..field.end as usize]
    }
}

impl Run {
    /// With one more element, of so many spans.
    fn with(mut self, element: &Field, spans: u32) -> Self {
        let part = Slice::between(element.start, element.end);
        match self.parts.last_mut().filter(|last| last.end() == part.at) {
            Some(last) => last.len += part.len,
            None => self.parts.push(part),
        }
        self.bytes += part.len as usize;
        self.spans += spans;
        self.end = element.end;
        self
    }
}

/// How many spans an element of a level holds: a `ResourceSpans` at depth 0, a span at depth 2.
pub(super) fn spans_of(body: &[u8], element: Slice, depth: usize) -> Result<u32, WireError> {
    let Some(&inner) = ELEMENTS.get(depth + 1) else { return Ok(1) };
    let mut reader = Reader::within(body, element);
    let mut sum = 0;
    while let Some(field) = reader.next()? {
        if field.number == inner {
            sum += spans_of(body, field.bytes()?, depth + 1)?;
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests;
