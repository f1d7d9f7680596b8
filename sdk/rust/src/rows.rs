//! Choosing rows: every row, some by number, or some by a mask.

pub use crate::bindings::types::Rows;

impl Rows {
    /// No row. An edit of no row is left out.
    pub const NONE: Self = Self::These(Vec::new());

    /// True if no row is chosen.
    pub fn is_none(&self) -> bool {
        match self {
            Self::Every => false,
            Self::These(rows) => rows.is_empty(),
            Self::Marked(marks) => marks.iter().all(|&mark| mark == 0),
        }
    }

    /// How many of a batch's `rows` rows are chosen.
    pub fn count(&self, rows: u32) -> u32 {
        match self {
            Self::Every => rows,
            Self::These(rows) => rows.len() as u32,
            Self::Marked(marks) => marks.iter().map(|&mark| u32::from(mark != 0)).sum(),
        }
    }
}

impl From<u32> for Rows {
    fn from(row: u32) -> Self {
        Self::These(vec![row])
    }
}

impl From<Vec<u32>> for Rows {
    fn from(rows: Vec<u32>) -> Self {
        Self::These(rows)
    }
}

impl FromIterator<u32> for Rows {
    fn from_iter<I: IntoIterator<Item = u32>>(rows: I) -> Self {
        Self::These(rows.into_iter().collect())
    }
}

impl From<Mask> for Rows {
    fn from(mask: Mask) -> Self {
        Self::Marked(mask.0)
    }
}

/// One mark per row: the cheapest way to gather rows from several columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask(Vec<u8>);

impl Mask {
    /// No row of `rows`.
    pub fn none(rows: u32) -> Self {
        Self(vec![0; rows as usize])
    }

    /// Every row of `rows`.
    pub fn all(rows: u32) -> Self {
        Self(vec![1; rows as usize])
    }

    /// Adds a row.
    pub fn set(&mut self, row: u32) {
        self.0[row as usize] = 1;
    }

    /// Takes a row out.
    pub fn clear(&mut self, row: u32) {
        self.0[row as usize] = 0;
    }

    /// True if the row is in.
    pub fn has(&self, row: u32) -> bool {
        self.0[row as usize] != 0
    }

    /// True if no row is in.
    pub fn is_none(&self) -> bool {
        !self.0.contains(&1)
    }

    /// How many rows are in.
    pub fn count(&self) -> u32 {
        self.0.iter().map(|&mark| u32::from(mark)).sum()
    }

    /// The rows that are in, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0u32..).zip(&self.0).filter(|&(_, &mark)| mark != 0).map(|(row, _)| row)
    }

    /// Takes out the rows of another mask.
    pub fn subtract(&mut self, other: &Self) {
        for (mark, other) in self.0.iter_mut().zip(&other.0) {
            *mark &= 1 - other;
        }
    }

    /// Keeps only the rows of another mask.
    pub fn intersect(&mut self, other: &Self) {
        for (mark, other) in self.0.iter_mut().zip(&other.0) {
            *mark &= other;
        }
    }

    /// One byte per row.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// One byte per row: 0 or 1, nothing else.
    pub(crate) fn as_bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_combine() {
        let mut mask = Mask::none(4);
        assert!(mask.is_none());
        mask.set(1);
        mask.set(3);
        let mut all = Mask::all(4);
        all.subtract(&mask);
        assert_eq!(all.iter().collect::<Vec<_>>(), [0, 2]);
        all.set(3);
        all.intersect(&mask);
        assert_eq!(all.iter().collect::<Vec<_>>(), [3]);
        mask.clear(1);
        assert_eq!((mask.count(), mask.has(3), mask.has(1)), (1, true, false));
    }

    #[test]
    fn rows_know_how_many_they_are() {
        assert!(Rows::NONE.is_none());
        assert!(!Rows::Every.is_none());
        assert_eq!(Rows::Every.count(7), 7);
        assert_eq!(Rows::from(vec![1, 2]).count(7), 2);
        assert_eq!(Rows::Marked(vec![0, 1, 0]).count(3), 1);
        assert!(Rows::Marked(vec![0, 0]).is_none());
    }
}
