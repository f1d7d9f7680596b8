//! A place in the chain: the stage that counts there, and a version of it that is tried beside it.

use std::sync::Arc;

use super::stage::Stage;
use super::trial::{Mode, Trial};

/// One place.
#[derive(Debug, Clone)]
pub struct Place {
    /// What runs there; none while a new plugin is only tried.
    pub stage: Option<Arc<Stage>>,
    /// What is tried there.
    pub trial: Option<Arc<Trial>>,
}

impl From<Arc<Stage>> for Place {
    fn from(stage: Arc<Stage>) -> Self {
        Self { stage: Some(stage), trial: None }
    }
}

impl Place {
    /// The samplers here that decide traces: a canary has its share of them.
    pub(super) fn samplers(&self) -> impl Iterator<Item = &Arc<Stage>> {
        let canary = self.trial.as_ref().filter(|trial| matches!(trial.mode(), Mode::Canary(_)));
        self.stage.iter().chain(canary.map(|trial| trial.stage())).filter(|stage| stage.is_sampler())
    }

    /// What of it is of a kind; `None` where nothing is.
    pub(super) fn only(&self, is_wanted: impl Fn(&Stage) -> bool) -> Option<Self> {
        let stage = self.stage.clone().filter(|stage| is_wanted(stage));
        let trial = self.trial.clone().filter(|trial| is_wanted(trial.stage()));
        (stage.is_some() || trial.is_some()).then_some(Self { stage, trial })
    }

    /// Whether the same runs and is tried here.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        fn same<T>(one: Option<&Arc<T>>, other: Option<&Arc<T>>) -> bool {
            match (one, other) {
                (None, None) => true,
                (Some(one), Some(other)) => Arc::ptr_eq(one, other),
                _ => false,
            }
        }
        same(self.stage.as_ref(), other.stage.as_ref()) && same(self.trial.as_ref(), other.trial.as_ref())
    }
}
