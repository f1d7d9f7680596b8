//! Putting a value, an event or a link together anew with some of its values replaced or left out, in one walk.

use std::borrow::Cow;

use crate::index::{event_field, link_field};
use crate::value::field;
use crate::wire::{self, Field, Payload, Reader, Slice};

use super::splicer::Splicer;

/// One value that changes.
#[derive(Debug)]
pub(super) struct Patch<'t> {
    /// The body of an `AnyValue`, or a whole field, in the body that is patched.
    pub(super) at: Slice,
    /// What stands there then; `None` leaves it out, and the element of a list that it is.
    pub(super) text: Option<Cow<'t, [u8]>>,
    /// The field's number where it is a field.
    pub(super) field: Option<u32>,
}

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Any,
    Event,
    Link,
}

/// Writes `body` into the splicer with these patches, in ascending order. Answers whether nothing is left of it.
pub(super) fn apply(splicer: &mut Splicer, body: &[u8], kind: Kind, patches: &[Patch<'_>]) -> bool {
    let mut patcher = Patcher { splicer, body, patches };
    let whole = Slice { at: 0, len: body.len() as u32 };
    match kind {
        Kind::Any => patcher.any(whole),
        Kind::Event => patcher.part(whole, event_field::ATTRIBUTES),
        Kind::Link => patcher.part(whole, link_field::ATTRIBUTES),
    }
}

struct Patcher<'a> {
    splicer: &'a mut Splicer,
    body: &'a [u8],
    /// Those that are not applied yet.
    patches: &'a [Patch<'a>],
}

impl Patcher<'_> {
    /// Whether the next patch lies in a field.
    fn concerns(&self, f: &Field) -> bool {
        self.patches.first().is_some_and(|patch| f.start <= patch.at.at && patch.at.end() <= f.end)
    }

    fn copy(&mut self, f: &Field) {
        self.splicer.copy(self.body, f.start, f.end);
    }

    /// The fields of an event or link.
    fn part(&mut self, range: Slice, attributes: u32) -> bool {
        // A field that was not there comes first.
        while let [Patch { at: Slice { len: 0, .. }, text, field: Some(number) }, rest @ ..] = self.patches {
            if let Some(text) = text {
                wire::put_bytes(&mut self.splicer.out, *number, text);
            }
            self.patches = rest;
        }
        let mut reader = Reader::within(self.body, range);
        while let Ok(Some(f)) = reader.next() {
            match f.payload {
                _ if !self.concerns(&f) => self.copy(&f),
                Payload::Bytes(pair) if f.number == attributes => self.enclosed(&f, |patcher| patcher.pair(pair)),
                _ => {
                    if let [Patch { text: Some(text), field: Some(number), .. }, ..] = self.patches {
                        wire::put_bytes(&mut self.splicer.out, *number, text);
                    }
                    self.patches = &self.patches[1..];
                }
            }
        }
        false
    }

    /// Writes a message field by `write`, or nothing if that answers that nothing is left.
    fn enclosed(&mut self, f: &Field, write: impl FnOnce(&mut Self) -> bool) {
        let mark = self.splicer.mark();
        if write(self) {
            self.splicer.back_to(mark);
        } else {
            self.splicer.enclose(mark, f.number);
        }
    }

    fn pair(&mut self, range: Slice) -> bool {
        let mut gone = false;
        let mut reader = Reader::within(self.body, range);
        while let Ok(Some(f)) = reader.next() {
            match f.payload {
                Payload::Bytes(value) if f.number == field::VALUE && self.concerns(&f) => {
                    self.enclosed(&f, |patcher| {
                        gone = patcher.any(value);
                        gone
                    });
                }
                _ => self.copy(&f),
            }
        }
        gone
    }

    /// An `AnyValue`. Answers whether it is left out.
    fn any(&mut self, range: Slice) -> bool {
        if let [Patch { at, text, .. }, rest @ ..] = self.patches
            && *at == range
        {
            self.patches = rest;
            if let Some(text) = text {
                wire::put_bytes(&mut self.splicer.out, field::STRING, text);
            }
            return text.is_none();
        }
        let mut reader = Reader::within(self.body, range);
        while let Ok(Some(f)) = reader.next() {
            match f.payload {
                Payload::Bytes(list) if self.concerns(&f) => self.enclosed(&f, |patcher| {
                    patcher.list(list, f.number == field::KVLIST);
                    false
                }),
                _ => self.copy(&f),
            }
        }
        false
    }

    fn list(&mut self, range: Slice, map: bool) {
        let mut reader = Reader::within(self.body, range);
        while let Ok(Some(f)) = reader.next() {
            match f.payload {
                Payload::Bytes(element) if f.number == field::ELEMENT && self.concerns(&f) => {
                    self.enclosed(&f, |patcher| if map { patcher.pair(element) } else { patcher.any(element) });
                }
                _ => self.copy(&f),
            }
        }
    }
}
