//! What a plugin's edits may read and write, as its plan says and the operator grants.

use crate::path::{Path, Want};

/// What edits may do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Permissions {
    reads: Vec<Path>,
    writes: Vec<Path>,
    may_drop: bool,
}

impl Permissions {
    /// From a plan: columns, `reads` and the paths of conditions may be read, and `writes` written.
    #[must_use]
    pub fn new<'p>(
        columns: &[Want],
        reads: &[Path],
        conditions: impl IntoIterator<Item = &'p Path>,
        writes: &[Path],
        may_drop: bool,
    ) -> Self {
        let mut all: Vec<Path> = columns.iter().map(|want| want.path.clone()).collect();
        all.extend_from_slice(reads);
        all.extend(conditions.into_iter().cloned());
        Self { reads: all, writes: writes.to_vec(), may_drop }
    }

    /// Whether a path may be the source of a copy.
    #[must_use]
    pub fn may_read(&self, path: &Path) -> bool {
        self.reads.iter().any(|granted| granted.covers(path))
    }

    /// Whether a path may be written.
    #[must_use]
    pub fn may_write(&self, path: &Path) -> bool {
        self.writes.iter().any(|granted| granted.covers(path))
    }

    /// Whether rows may be dropped, sampled and weighed.
    #[must_use]
    pub fn may_drop(&self) -> bool {
        self.may_drop
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Layout;

    #[test]
    fn a_path_for_many_places_covers_all_of_them_and_nothing_else() {
        let path = |text: &str| text.parse::<Path>().unwrap();
        let columns = [Want::new(path("strings"), Layout::Entries).unwrap()];
        let condition = path("kind");
        let permissions = Permissions::new(&columns, &[path("span_id")], [&condition], &[path("attributes")], false);
        for readable in ["name", "attributes[\"x\"]", "events.attributes[\"x\"]", "span_id", "kind"] {
            assert!(permissions.may_read(&path(readable)), "{readable}");
        }
        assert!(!permissions.may_read(&path("trace_id")));
        assert!(permissions.may_write(&path("attributes[\"x\"]")));
        assert!(!permissions.may_write(&path("resource.attributes[\"x\"]")));
        assert!(!permissions.may_drop());
    }
}
