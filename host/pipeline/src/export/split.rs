//! Cuts a request that is larger than a back end may be sent, piece by piece: between its `ResourceSpans` where that is enough,
//! else between the `ScopeSpans` of one, else between the spans of one; likewise metrics, down to their data points, and logs.
//! Knows nothing of queues.
//!
//! Whatever a message holds beside what it is cut into (the resource, the schema's URL, a metric's name,
//! unknown fields) is repeated in each piece, byte for byte. Pieces are made one at a time: a large resource that is repeated for each
//! few items costs the memory of one piece and not of all.

use bytes::Bytes;
use otlp::signal::Signal;
use otlp::wire::{Field, Reader, Slice, WireError, field_len, put_bytes, put_header};

/// What is cut off the front.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A request of its own within the limit, its items, and whether its bytes are a copy.
    Fits { body: Bytes, items: u32, is_copy: bool },
    /// So many items that are over the limit alone, with what they need of their resource and scope; or all that are left,
    /// where nobody can say where to cut.
    Oversize(u32),
}

/// A request that is being cut.
#[derive(Debug)]
pub(super) struct Cutter {
    signal: Signal,
    body: Bytes,
    limit: usize,
    /// How large a piece of a single item may be all the same.
    most: usize,
    /// What is left of the request, of the `ResourceSpans` that is being cut, of the `ScopeSpans` in it, and so on.
    levels: Vec<Level>,
    /// How many items are left.
    items: u32,
}

/// A message that is being cut.
#[derive(Debug)]
struct Level {
    /// The field of the level above that it stands in; of no meaning for the request itself.
    number: u32,
    /// What is repeated.
    head: Vec<u8>,
    rest: Slice,
}

/// Elements of the innermost level that go into one piece.
#[derive(Debug, Default)]
struct Run {
    parts: Vec<Slice>,
    bytes: usize,
    items: u32,
    /// Up to where the level was read.
    end: u32,
}

impl Cutter {
    /// Cuts a request of so many items into pieces of at most `limit` bytes, or of one item that takes at most `most`.
    pub fn new(signal: Signal, body: Bytes, items: u32, limit: usize, most: usize) -> Self {
        let rest = Slice { at: 0, len: u32::try_from(body.len()).unwrap_or(u32::MAX) };
        let mut cutter = Self { signal, body, limit, most: most.max(limit), levels: Vec::new(), items };
        // What cannot be read has no level that could be cut.
        let _unreadable = cutter.open(0, rest);
        cutter
    }

    /// The next piece; `None` when nothing is left.
    pub fn next(&mut self) -> Option<Piece> {
        let piece = self.cut().ok().flatten().or_else(|| {
            self.levels.clear();
            (self.items > 0).then_some(Piece::Oversize(self.items))
        });
        if let Some(Piece::Fits { items, .. } | Piece::Oversize(items)) = piece {
            self.items = self.items.saturating_sub(items);
        }
        piece
    }

    /// What is left, as one request of any size, and its items.
    pub fn rest(&self) -> (Bytes, u32) {
        let Some((request, inner)) = self.levels.split_first() else { return (Bytes::new(), self.items) };
        let following = if request.head.is_empty() {
            self.body.slice(request.rest.at as usize..request.rest.end() as usize)
        } else {
            self.elements(request, 0, request.head.clone()).into()
        };
        let mut opened = Vec::new();
        for (above, level) in inner.iter().enumerate().rev() {
            let mut message = level.head.clone();
            message.append(&mut opened);
            let message = self.elements(level, above + 1, message);
            put_bytes(&mut opened, level.number, &message);
        }
        let rest = if opened.is_empty() { following } else { [&opened[..], &following].concat().into() };
        (rest, self.items)
    }

    /// What is left of a level's elements, behind what stands before them.
    fn elements(&self, level: &Level, depth: usize, mut message: Vec<u8>) -> Vec<u8> {
        let mut reader = Reader::within(&self.body, level.rest);
        // All of it was read when it was opened.
        while let Ok(Some(field)) = reader.next() {
            if self.is_element(&field, depth) {
                message.extend_from_slice(self.raw(&field));
            }
        }
        message
    }

    fn cut(&mut self) -> Result<Option<Piece>, WireError> {
        while !self.levels.is_empty() {
            let (run, beyond) = self.run()?;
            if run.items > 0 {
                self.advance(run.end);
                return Ok(Some(self.piece(&run)));
            }
            let Some(field) = beyond else {
                self.levels.pop();
                continue;
            };
            self.advance(field.end);
            if self.levels.len() < self.signal.levels().len() {
                self.open(field.number, field.bytes()?)?;
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
    fn open(&mut self, number: u32, message: Slice) -> Result<(), WireError> {
        let depth = self.levels.len();
        let mut head = Vec::new();
        let mut reader = Reader::within(&self.body, message);
        while let Some(field) = reader.next()? {
            if !self.is_element(&field, depth) {
                head.extend_from_slice(self.raw(&field));
            }
        }
        self.levels.push(Level { number, head, rest: message });
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
            if self.is_element(&field, depth) {
                if self.wrapped_len(run.bytes + (field.end - field.start) as usize) > self.limit {
                    return Ok((run, Some(field)));
                }
                let items = self.signal.count_within(&self.body, field.bytes()?, depth + 1)?;
                run = run.with(&field, items);
            }
            run.end = field.end;
        }
        Ok((run, None))
    }

    /// How large a request is with so many bytes on the innermost level.
    fn wrapped_len(&self, bytes: usize) -> usize {
        let inner = self.levels[1..].iter().rev();
        let inner = inner.fold(bytes, |bytes, level| field_len(level.number, level.head.len() + bytes));
        self.levels[0].head.len() + inner
    }

    fn piece(&self, run: &Run) -> Piece {
        let items = run.items;
        let bytes = |part: &Slice| part.at as usize..part.end() as usize;
        if let ([request], [only]) = (&self.levels[..], &run.parts[..])
            && request.head.is_empty()
        {
            return Piece::Fits { body: self.body.slice(bytes(only)), items, is_copy: false };
        }
        let mut body = Vec::with_capacity(run.bytes);
        for part in &run.parts {
            body.extend_from_slice(&self.body[bytes(part)]);
        }
        for level in self.levels[1..].iter().rev() {
            let mut wrapped = Vec::with_capacity(field_len(level.number, level.head.len() + body.len()));
            put_header(&mut wrapped, level.number, level.head.len() + body.len());
            wrapped.extend_from_slice(&level.head);
            wrapped.append(&mut body);
            body = wrapped;
        }
        body.splice(0..0, self.levels[0].head.iter().copied());
        Piece::Fits { body: body.into(), items, is_copy: true }
    }

    /// Whether a field of a message at this depth is what the message is cut into.
    fn is_element(&self, field: &Field, depth: usize) -> bool {
        self.signal.levels()[depth].contains(&field.number)
    }

    fn raw(&self, field: &Field) -> &[u8] {
        &self.body[field.start as usize..field.end as usize]
    }
}

impl Run {
    /// With one more element, of so many items.
    fn with(mut self, element: &Field, items: u32) -> Self {
        let part = Slice::between(element.start, element.end);
        match self.parts.last_mut().filter(|last| last.end() == part.at) {
            Some(last) => last.len += part.len,
            None => self.parts.push(part),
        }
        self.bytes += part.len as usize;
        self.items += items;
        self.end = element.end;
        self
    }
}

#[cfg(test)]
mod tests;
