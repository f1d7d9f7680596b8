//! Writing to what spans share. Where only some of the spans that share a resource or scope are written, those get a copy.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};

use crate::batch::{Batch, Changes, Resource, Run, Scope};
use crate::edit::Mode;
use crate::wire::Slice;

use super::Applier;
use super::attributes;
use super::target::{OwnerField, OwnerKind};

/// A row of the call, and what its owner is to have; `None` removes.
pub(super) type Wanted = (u32, Option<Slice>);

/// How many live rows each scope and each resource of the batch has: counted when an edit first asks, and kept right from
/// then on.
#[derive(Debug, Default)]
pub(super) struct LiveRows {
    counted: bool,
    scopes: Vec<u32>,
    resources: Vec<u32>,
}

impl LiveRows {
    fn count(batch: &Batch) -> Self {
        let mut live =
            Self { counted: true, scopes: vec![0; batch.scopes.len()], resources: vec![0; batch.resources.len()] };
        for span in batch.spans.iter().filter(|span| !span.dropped) {
            live.scopes[span.scope as usize] += 1;
        }
        for (scope, rows) in batch.scopes.iter().zip(&live.scopes) {
            live.resources[scope.resource as usize] += rows;
        }
        live
    }

    /// A row has left the batch.
    fn drop_row(&mut self, batch: &Batch, row: usize) {
        if self.counted {
            let span = &batch.spans[row];
            self.scopes[span.scope as usize] -= 1;
            self.resources[batch.scope(span).resource as usize] -= 1;
        }
    }
}

/// Rows of one owner that are to have the same.
struct Group {
    owner: u32,
    value: Option<Slice>,
    rows: Vec<u32>,
}

impl Applier<'_> {
    /// Gives the owners of rows their values. The rows that were written are noted in `done`.
    pub(super) fn write_owners(
        &mut self,
        kind: OwnerKind,
        field: OwnerField<'_>,
        wanted: Vec<Wanted>,
        mode: Mode,
        mut done: Option<&mut Vec<u32>>,
    ) {
        let groups = self.group(kind, field, wanted, mode);
        if groups.is_empty() {
            return;
        }
        for group in groups {
            let owner = self.owner_for(kind, group.owner, &group.rows);
            set_field(self.batch, kind, owner, field, group.value);
            for &row in &group.rows {
                self.touch(row);
            }
            if let Some(done) = &mut done {
                done.extend(group.rows);
            }
        }
    }

    /// Brings rows together that share an owner and are to have the same, and leaves out those that `mode` forbids.
    fn group(&self, kind: OwnerKind, field: OwnerField<'_>, wanted: Vec<Wanted>, mode: Mode) -> Vec<Group> {
        let hasher = FixedState::default();
        let mut groups: Vec<Group> = Vec::new();
        let mut table: HashTable<usize> = HashTable::new();
        let mut there: HashMap<u32, bool, FixedState> = HashMap::default();
        let hash = |owner: u32, value: Option<Slice>| hasher.hash_one((owner, value.map(|at| self.batch.get(at))));
        for (row, value) in wanted {
            let owner = self.owner_of(kind, row);
            if let Some(last) = groups.last_mut()
                && last.owner == owner
                && last.value == value
            {
                last.rows.push(row);
                continue;
            }
            let there = *there.entry(owner).or_insert_with(|| has_field(self.batch, kind, owner, field));
            if !mode.allows(there) {
                continue;
            }
            let same = |group: &Group| {
                group.owner == owner && group.value.map(|at| self.batch.get(at)) == value.map(|at| self.batch.get(at))
            };
            let key = hash(owner, value);
            if let Some(&at) = table.find(key, |&at| same(&groups[at])) {
                groups[at].rows.push(row);
            } else {
                table.insert_unique(key, groups.len(), |&at| hash(groups[at].owner, groups[at].value));
                groups.push(Group { owner, value, rows: vec![row] });
            }
        }
        groups
    }

    /// The resource or scope that a row of the call has.
    #[inline]
    pub(super) fn owner_of(&self, kind: OwnerKind, row: u32) -> u32 {
        let span = &self.batch.spans[self.batch_row(row)];
        match kind {
            OwnerKind::Scope => span.scope,
            OwnerKind::Resource => self.batch.scope(span).resource,
        }
    }

    /// Takes a row, by its number in the batch, out of it.
    pub(super) fn drop_row(&mut self, row: usize) {
        if !self.batch.spans[row].dropped {
            self.batch.drop_row(row as u32);
            self.live.drop_row(self.batch, row);
        }
    }

    /// The owner to write for these live rows of `owner`: itself if no other live row has it, else a copy. The last rows of
    /// an owner that is written all over need no copy.
    pub(super) fn owner_for(&mut self, kind: OwnerKind, owner: u32, rows: &[u32]) -> u32 {
        if !self.live.counted {
            self.live = LiveRows::count(self.batch);
        }
        let live = match kind {
            OwnerKind::Resource => &mut self.live.resources,
            OwnerKind::Scope => &mut self.live.scopes,
        };
        let own = rows.len() as u32;
        if live[owner as usize] <= own {
            return owner;
        }
        live[owner as usize] -= own;
        live.push(own);
        match kind {
            OwnerKind::Resource => self.copy_resource(owner, rows),
            OwnerKind::Scope => self.copy_scope(owner, rows),
        }
    }

    /// Whether the counts of live rows, if there are any, are what counting anew would give.
    #[cfg(test)]
    pub(super) fn live_rows_are_right(&self) -> bool {
        let anew = LiveRows::count(self.batch);
        !self.live.counted || (&self.live.scopes, &self.live.resources) == (&anew.scopes, &anew.resources)
    }

    fn copy_scope(&mut self, scope: u32, rows: &[u32]) -> u32 {
        self.batch.touch_owners(scope as usize);
        let copy = copied_scope(self.batch, scope);
        for &row in rows {
            let row = self.batch_row(row);
            self.batch.spans[row].scope = copy;
        }
        copy
    }

    fn copy_resource(&mut self, resource: u32, rows: &[u32]) -> u32 {
        let mut copy = self.batch.resources[resource as usize];
        copy.attributes = duplicated(self.batch, copy.attributes);
        let number = self.batch.resources.len() as u32;
        self.batch.resources.push(copy);
        let mut scopes: HashMap<u32, u32, FixedState> = HashMap::default();
        for &row in rows {
            let row = self.batch_row(row);
            let scope = self.batch.spans[row].scope;
            let copied = *scopes.entry(scope).or_insert_with(|| {
                self.batch.touch_owners(scope as usize);
                let copied = copied_scope(self.batch, scope);
                self.batch.scopes[copied as usize].resource = number;
                self.live.scopes.push(0);
                copied
            });
            self.batch.spans[row].scope = copied;
            self.live.scopes[scope as usize] -= 1;
            self.live.scopes[copied as usize] += 1;
        }
        number
    }
}

fn copied_scope(batch: &mut Batch, scope: u32) -> u32 {
    let mut copy = batch.scopes[scope as usize];
    copy.attributes = duplicated(batch, copy.attributes);
    batch.scopes.push(copy);
    batch.scopes.len() as u32 - 1
}

fn duplicated(batch: &mut Batch, run: Run) -> Run {
    let start = batch.attributes.len() as u32;
    batch.attributes.extend_from_within(run.range());
    Run { start, ..run }
}

fn has_field(batch: &Batch, kind: OwnerKind, owner: u32, field: OwnerField<'_>) -> bool {
    let owner = owner as usize;
    let (run, text) = match kind {
        OwnerKind::Resource => {
            let Resource { attributes, schema_url, .. } = batch.resources[owner];
            (attributes, schema_url)
        }
        OwnerKind::Scope => {
            let Scope { attributes, schema_url, name, version, .. } = batch.scopes[owner];
            let text = match field {
                OwnerField::Name => name,
                OwnerField::Version => version,
                _ => schema_url,
            };
            (attributes, text)
        }
    };
    match field {
        OwnerField::Attribute(key) => attributes::find(batch, run, &key).is_some(),
        _ => !text.is_empty(),
    }
}

pub(super) fn set_field(batch: &mut Batch, kind: OwnerKind, owner: u32, field: OwnerField<'_>, value: Option<Slice>) {
    let at = owner as usize;
    let changes = match (field, kind) {
        (OwnerField::Attribute(key), _) => {
            let mut run = match kind {
                OwnerKind::Resource => batch.resources[at].attributes,
                OwnerKind::Scope => batch.scopes[at].attributes,
            };
            let changes = match value {
                Some(value) => attributes::set(batch, &mut run, &key, value),
                None => attributes::remove(batch, &mut run, &key),
            };
            match kind {
                OwnerKind::Resource => batch.resources[at].attributes = run,
                OwnerKind::Scope => batch.scopes[at].attributes = run,
            }
            changes
        }
        (_, OwnerKind::Resource) => set_text(field.of_resource(&mut batch.resources[at]), value),
        (_, OwnerKind::Scope) => set_text(field.of_scope(&mut batch.scopes[at]), value),
    };
    note(batch, kind, owner, changes);
}

fn set_text(slot: Option<(&mut Slice, Changes)>, value: Option<Slice>) -> Changes {
    slot.map_or(Changes::default(), |(slot, change)| {
        *slot = value.unwrap_or(Slice::EMPTY);
        change
    })
}

/// Notes what has changed of an owner, and that its own owner cannot be copied whole.
pub(super) fn note(batch: &mut Batch, kind: OwnerKind, owner: u32, changes: Changes) {
    let at = owner as usize;
    match kind {
        OwnerKind::Resource => {
            batch.resources[at].changes.add(changes);
            let original = batch.resources[at].original as usize;
            batch.resources[original].changes.add(Changes::BELOW);
        }
        OwnerKind::Scope => {
            batch.scopes[at].changes.add(changes);
            batch.touch_owners(at);
        }
    }
}
