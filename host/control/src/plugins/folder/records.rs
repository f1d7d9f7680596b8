//! What a restart has to know: followed at the start, noted as it changes, and the files that it needs kept.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::Worker;
use crate::plugins::plan::{Recipe, Wanted};
use crate::plugins::shelf::{Key, Paths, Record, Shelf};

impl Worker {
    /// Takes in what the folder holds. Where a record says that another version counts, that one is wanted first: until it counts, or cannot for
    /// good, the record stays.
    pub(super) fn recall(&mut self, wanted: &mut [Wanted], moving: bool) {
        let mut seen = BTreeSet::new();
        for Wanted { file, stage, recipe } in wanted {
            if !seen.insert(Arc::clone(stage)) {
                continue; // Another file of the same stage comes before it.
            }
            self.slots.place(stage, file);
            let (Some(recipe), Some(slot)) = (recipe.as_mut(), self.slots.get_mut(stage)) else { continue };
            slot.wanted = Some(recipe.clone());
            let Some(record) = self.records.get(stage) else { continue };
            if slot.stage.is_none() {
                slot.before.clone_from(&record.previous);
            }
            let counted = self.counted(stage, record, recipe);
            let Some(slot) = self.slots.get_mut(stage) else { continue };
            match counted {
                // It counts already: in another folder, say, that was followed before this one.
                Some(counted) if slot.known.live.as_ref() == Some(&counted) => {
                    let record = self.records.remove(stage);
                    slot.hold_as(record.and_then(|record| record.held).as_ref());
                }
                Some(counted) => *recipe = counted,
                None => {
                    let noted = self.records.remove(stage).filter(|record| record.current.is_none());
                    let held = noted.and_then(|record| record.held);
                    // What is held here without a word of the record stays so.
                    if held.is_some() || slot.stage.is_none() {
                        slot.hold_as(held.as_ref());
                    }
                }
            }
        }
        if !moving {
            // Their files have gone since.
            self.records.retain(|stage, _| seen.contains(stage));
        }
    }

    /// What is to count by a record, if anything can.
    fn counted(&self, stage: &str, record: &Record, wanted: &Recipe) -> Option<Recipe> {
        let current = record.current.as_ref()?;
        if current.is_same_version(&wanted.into()) {
            return Some(wanted.clone()); // It is in the folder, maybe with a newer signature.
        }
        if self.ground.shelf.find(current).is_none() {
            tracing::warn!(
                plugin = stage,
                version = current.plugin.short(),
                "the version that should count is not kept any more, the folder says which one does"
            );
            return None;
        }
        let Key { plugin, sidecar, signature } = *current;
        // Kept before signatures were asked for, or without one, it is refused as the folder's would be.
        let signature = signature.filter(|_| self.settings.keys.are_asked_for());
        Some(Recipe { plugin, sidecar, signature, defaults: wanted.defaults })
    }

    /// Whether this is made because a record says that it counts.
    pub(super) fn is_recorded(&self, stage: &str, recipe: &Recipe) -> bool {
        let current = self.records.get(stage).and_then(|record| record.current.as_ref());
        current.is_some_and(|current| current.is_same_version(&recipe.into()))
    }

    /// The files of what counts by a record, where the folder has others.
    pub(super) fn shelved(&self, stage: &str, recipe: &Recipe) -> Option<Paths> {
        let wanted = self.slots.get(stage)?.wanted.as_ref().filter(|wanted| !wanted.is_same_version(recipe))?;
        let paths = self.ground.shelf.find(self.records.get(stage)?.current.as_ref()?)?;
        tracing::info!(
            plugin = stage,
            version = recipe.plugin.short(),
            folder_holds = wanted.plugin.short(),
            "a version is made that the folder does not hold, to count"
        );
        Some(paths)
    }

    /// What counts by a record is not wanted any more.
    pub(super) fn forget_record(&mut self, stage: &Arc<str>) {
        if self.records.remove(stage).is_some()
            && let Some(slot) = self.slots.get_mut(stage)
        {
            let interrupted = slot.interrupt();
            self.overtaken(interrupted);
        }
    }

    /// Notes what a restart has to know.
    pub(super) fn note(&mut self) {
        if !self.state.settled {
            return; // What was noted before the start is being followed.
        }
        // What is still to be followed is the newest word.
        let mut noted = self.records.clone();
        for (stage, slot) in self.slots.iter().filter(|(stage, _)| !self.records.contains_key(*stage)) {
            noted.extend(slot.record().map(|record| (Arc::clone(stage), record)));
        }
        if noted == self.noted {
            return;
        }
        for (stage, record) in &noted {
            if self.noted.get(stage) != Some(record) {
                self.ground.shelf.note(stage, Some(record));
            }
        }
        for stage in self.noted.keys().filter(|stage| !noted.contains_key(*stage)) {
            self.ground.shelf.note(stage, None);
        }
        self.noted = noted;
    }

    /// Lets go of the files of versions that neither a rollback nor a restart needs, once some may have become so.
    pub(super) fn tidy(&mut self) {
        if self.state.settled && std::mem::take(&mut self.untidy) {
            self.ground.shelf.keep_only(&self.needed());
        }
    }

    /// The versions whose files are needed.
    pub(super) fn needed(&self) -> Vec<Key> {
        let slots = self.slots.iter().flat_map(|(_, slot)| slot.needed());
        slots.chain(self.records.values().flat_map(Record::needed)).collect()
    }

    /// Another plugin folder is followed, with what was noted of it before. What runs goes along.
    pub(super) fn take_shelf(&mut self, folder: &Path) {
        self.note();
        self.ground.shelf.follow(folder, &self.needed());
        self.noted = Self::noted(&self.ground.shelf);
        self.records = self.noted.clone();
        self.untidy = true;
    }

    /// What was noted before.
    pub(super) fn noted(shelf: &Shelf) -> BTreeMap<Arc<str>, Record> {
        shelf.records().into_iter().map(|(stage, record)| (stage.into(), record)).collect()
    }
}
