//! A stage, for people.

use pipeline::chain::trial::Mode;

use super::{Slot, Tried};
use crate::plugins::name;
use crate::plugins::role::{self, Sampler};
use crate::plugins::signature::Signed;
use crate::plugins::status::{self, Failure, State, Step};

impl Slot {
    /// For people.
    #[must_use]
    pub fn status(&self, stage: &str) -> status::Stage {
        let state = match (&self.stage, &self.error) {
            _ if self.gone => State::Gone,
            (Some(_), _) => State::Live,
            (None, _) if self.trial.is_some() => State::Tried,
            (None, Some(_)) => State::Failed,
            // Rolled back, and what counted instead of it is gone.
            (None, None) if self.known.held.is_some() => State::Failed,
            (None, None) => State::Loading,
        };
        let spec = self.stage.as_ref().map(|stage| stage.spec());
        // What no version of counts yet is what the version that is tried is.
        let known = self.stage.as_ref().or(self.trial.as_ref().map(|tried| tried.trial.stage()));
        let plan = known.map(|stage| stage.spec().program.plan());
        let previous = self.previous.as_ref().map(|previous| previous.stage.spec().version.to_string());
        let previous = previous.or_else(|| self.before.as_ref().map(|before| before.plugin.short()));
        status::Stage {
            version: spec.map(|spec| spec.version.to_string()),
            signature: self.signed.as_ref().map(Signed::shown),
            role: plan.map(|plan| role::of(plan).name().to_owned()),
            sampler: plan.and_then(Sampler::of),
            generation: self.since,
            took: self.took,
            on_error: spec.map(|spec| spec.on_error.name().to_owned()),
            error: self.error.clone(),
            trial: self.trial.as_ref().map(Tried::status),
            previous,
            held: self.known.held.as_ref().map(|held| held.plugin.short()),
            ..status::Stage::new(stage.to_owned(), self.file.clone(), state)
        }
    }

    /// A file whose stage is already another one's.
    #[must_use]
    pub fn twice(file: &str, earlier: &str) -> status::Stage {
        let stage = name::stage_of(name::stem_of(file));
        let why = format!("{earlier} is already stage {stage}; give it another name");
        let file = file.to_owned();
        let error =
            Failure { file: file.clone(), version: None, step: Step::Name, why, passing: false, at: status::now() };
        status::Stage { error: Some(error), ..status::Stage::new(stage.to_owned(), file, State::Failed) }
    }
}

impl Tried {
    fn status(&self) -> status::Trial {
        let (mode, share) = match self.trial.mode() {
            Mode::Shadow => ("shadow", None),
            Mode::Canary(share) => ("canary", Some(share)),
        };
        status::Trial {
            version: self.trial.stage().spec().version.to_string(),
            mode: mode.to_owned(),
            share,
            promote: self.rule(),
            not_promoted: self.not_promoted.clone(),
            ..status::Trial::default()
        }
    }
}
