//! A place in the chain: the stage that counts there, and a version of it that is tried beside it.

use std::sync::Arc;

use super::stage::Stage;
use super::trial::Trial;

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
