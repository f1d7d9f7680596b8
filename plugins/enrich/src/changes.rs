//! Changes that are the same for every span: renames, copies, constants, removals. They cost the plugin nothing per
//! span.

use std::collections::BTreeMap;

use tracemill_sdk::path;
use tracemill_sdk::prelude::*;
use tracemill_sdk::settings::Scalar;

use crate::settings::{FromTo, Settings};

/// Declared changes.
pub struct Changes {
    renames: Vec<(Target, Target, Mode)>,
    copies: Vec<(Source, Target, Mode)>,
    constants: Constants,
    removals: Vec<Target>,
}

/// Places with the value that each gets.
pub struct Constants {
    values: Vec<(Target, Value)>,
    mode: Mode,
}

impl Changes {
    /// Declares what the settings ask for.
    pub fn configure(settings: &Settings, mode: Mode, plan: &mut PlanBuilder) -> Result<Self, Refusal> {
        for (key, list) in [("rename", &settings.rename), ("copy", &settings.copy)] {
            let same = list.iter().position(|pair| path::from_settings(&pair.from) == path::from_settings(&pair.to));
            if let Some(index) = same {
                return Err(Refusal::at(&format!("{key}[{index}]"), "`from` and `to` are the same place"));
            }
        }
        let mode_of = |pair: &FromTo| if pair.overwrite { Mode::Upsert } else { Mode::Insert };
        let renames = settings.rename.iter().map(|pair| {
            let (from, to) = (path::from_settings(&pair.from), path::from_settings(&pair.to));
            (plan.writes(from), plan.writes(to), mode_of(pair))
        });
        let renames = renames.collect();
        let copies = settings.copy.iter().map(|pair| {
            let (from, to) = (path::from_settings(&pair.from), path::from_settings(&pair.to));
            (plan.reads(from), plan.writes(to), mode_of(pair))
        });
        let copies = copies.collect();
        let constants = Constants::configure(&settings.resource, &settings.attributes, mode, plan);
        let removals = settings.remove.iter().map(|key| plan.writes(path::from_settings(key))).collect();
        Ok(Self { renames, copies, constants, removals })
    }

    /// Renames, copies and sets.
    pub fn apply(&self, edits: &mut Edits<'_>) {
        for &(from, to, mode) in &self.renames {
            edits.rename(from, to, Rows::Every, mode);
        }
        for &(from, to, mode) in &self.copies {
            edits.copy(from, to, Rows::Every, mode);
        }
        self.constants.apply(&Rows::Every, edits);
    }

    /// Removes, when everything else is done.
    pub fn remove(&self, edits: &mut Edits<'_>) {
        for &target in &self.removals {
            edits.remove(target, Rows::Every);
        }
    }
}

impl Constants {
    /// Declares the places that are set.
    pub fn configure(
        resource: &BTreeMap<String, Scalar>,
        attributes: &BTreeMap<String, Scalar>,
        mode: Mode,
        plan: &mut PlanBuilder,
    ) -> Self {
        let resource = resource.iter().map(|(key, value)| (resource_attribute(key), value));
        let attributes = attributes.iter().map(|(key, value)| (attribute(key), value));
        let values = resource.chain(attributes).map(|(path, value)| (plan.writes(path), value.clone().into()));
        Self { values: values.collect(), mode }
    }

    /// Sets all of them in these rows.
    pub fn apply(&self, rows: &Rows, edits: &mut Edits<'_>) {
        for (target, value) in &self.values {
            edits.set_as(*target, rows.clone(), value.clone(), self.mode);
        }
    }
}
