//! Arbitrary edits.

use super::Random;
use crate::columns::{Cells, Texts, Words};
use crate::edit::{Constant, Edit, Mode, Rows, Sampling, Values};
use crate::path::Path;

/// What a path takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    Any,
    Text,
    Enumeration,
    Time,
}

impl Taken {
    fn by(path: &Path) -> Self {
        match path {
            Path::Kind | Path::StatusCode => Self::Enumeration,
            Path::StartTime | Path::EndTime => Self::Time,
            Path::Attribute(_)
            | Path::ResourceAttribute(_)
            | Path::ScopeAttribute(_)
            | Path::EventAttribute(_)
            | Path::LinkAttribute(_) => Self::Any,
            _ => Self::Text,
        }
    }
}

impl Random {
    /// A path that can be written.
    fn path(&mut self) -> Path {
        match self.below(20) {
            0..=3 => Path::Attribute(self.key().into()),
            4 => Path::ResourceAttribute(self.key().into()),
            5 => Path::ScopeAttribute(self.key().into()),
            6 => Path::Name,
            7 => Path::StatusMessage,
            8 => Path::ScopeName,
            9 => Path::ResourceSchemaUrl,
            10 => Path::EventAttribute(self.key().into()),
            11 => Path::EventName,
            12 => Path::Kind,
            13 => Path::StatusCode,
            14 => Path::StartTime,
            15 => Path::EndTime,
            16 => Path::TraceState,
            17 => Path::ScopeVersion,
            18 => Path::ScopeSchemaUrl,
            _ => Path::LinkAttribute(self.key().into()),
        }
    }

    /// A path that can be copied from.
    fn source(&mut self) -> Path {
        match self.below(20) {
            0 => Path::TraceId,
            1 => Path::SpanId,
            2 => Path::ParentSpanId,
            3 => Path::Duration,
            4 => Path::Flags,
            _ => self.path(),
        }
    }

    fn rows(&mut self, rows: usize) -> Rows {
        match self.below(3) {
            0 => Rows::Every,
            1 => Rows::These((0..rows as u32).rev().filter(|_| self.below(2) == 0).collect()),
            _ => Rows::Marked((0..rows).map(|_| self.below(2) as u8).collect()),
        }
    }

    fn constant(&mut self, taken: Taken) -> Constant {
        match (taken, self.below(6)) {
            (Taken::Enumeration, _) => Constant::Integer(self.below(7) as i64),
            (Taken::Time, _) => Constant::Integer((self.next() >> 1) as i64),
            (Taken::Text, _) | (Taken::Any, 0 | 1) => Constant::Text(self.text()),
            (Taken::Any, 2) => Constant::Boolean(self.below(2) == 0),
            (Taken::Any, 3) => Constant::Integer(self.next() as i64),
            (Taken::Any, 4) => Constant::Float(self.float()),
            (Taken::Any, _) => Constant::Bytes(self.text().into_bytes()),
        }
    }

    fn texts(&mut self, count: usize) -> Texts {
        let mut texts = Texts::default();
        for _ in 0..count {
            texts.push(self.text().as_bytes());
        }
        texts
    }

    /// One cell for each of `count` rows.
    fn cells(&mut self, taken: Taken, count: usize) -> Cells {
        let layout = match taken {
            Taken::Enumeration => return Cells::Integers((0..count).map(|_| self.below(7) as i64).collect()),
            Taken::Time => return Cells::Integers((0..count).map(|_| (self.next() >> 1) as i64).collect()),
            Taken::Text => self.below(2),
            Taken::Any => self.below(6),
        };
        match layout {
            0 => Cells::Text(self.texts(count)),
            1 => {
                let words = self.texts(3);
                Cells::Words(Words { codes: (0..count).map(|_| self.below(3) as u32).collect(), words })
            }
            2 => Cells::Integers((0..count).map(|_| self.next() as i64).collect()),
            3 => Cells::Floats((0..count).map(|_| self.float()).collect()),
            4 => Cells::Booleans((0..count).map(|_| self.below(2) as u8).collect()),
            _ => Cells::Bytes(self.texts(count)),
        }
    }

    /// An edit of a call with so many rows, at least one. Those of entries are not among them.
    pub(in super::super) fn edit(&mut self, rows: usize) -> Edit {
        let at = self.rows(rows);
        let count = match &at {
            Rows::Every => rows,
            Rows::These(these) => these.len(),
            Rows::Marked(marks) => marks.iter().filter(|mark| **mark != 0).count(),
        };
        let mode = [Mode::Upsert, Mode::Insert, Mode::Update][self.below(3)];
        match self.below(14) {
            0 => Edit::Drop { at, reason: "health".to_owned() },
            1..=3 => {
                let path = self.path();
                let to = Values::Same(self.constant(Taken::by(&path)));
                Edit::Set { path, at, to, mode }
            }
            4 | 5 => {
                let path = self.path();
                let to = Values::Each(self.cells(Taken::by(&path), count));
                Edit::Set { path, at, to, mode }
            }
            6 | 7 => Edit::Copy { path: self.source(), to: self.path(), at, mode },
            8 => Edit::Move { path: self.path(), to: self.path(), at, mode },
            9 if rows > 0 => Edit::Event {
                row: self.below(rows) as u32,
                time: self.next(),
                name: self.text(),
                attributes: self.some(2, |random| (random.key(), random.constant(Taken::Any))),
            },
            10 => Edit::Sample {
                at,
                probability: [0.0, 0.25, 0.5, 1.0][self.below(4)],
                how: [Sampling::Equalizing, Sampling::Proportional][self.below(2)],
                reason: "sampled".to_owned(),
            },
            11 => Edit::Weigh { at, probability: [None, Some(0.0), Some(0.25), Some(1.0)][self.below(4)] },
            _ => Edit::Remove { path: self.path(), at },
        }
    }
}
