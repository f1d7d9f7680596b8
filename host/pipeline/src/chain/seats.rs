//! Who sits where: the places of the live chain with one user's own instances of what stands there. A mill has those of processors, each thread of the
//! trace buffer those of samplers.

use std::sync::Arc;

use super::handover::hand_over;
use super::live::Chain;
use super::place::Place;
use super::sampler::Show;
use super::stage::{Slot, Stage};
use super::trial::{Mode, Trial};

/// A place in the chain, with one user's instances.
pub(crate) struct Seat {
    pub(super) place: Place,
    pub(super) stage: Slot,
    pub(super) canary: Slot,
}

/// Of which kind of plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Those that batches pass.
    Processors,
    /// Those that decide traces.
    Samplers,
}

impl Kind {
    fn of(stage: &Stage) -> Self {
        if stage.is_sampler() { Self::Samplers } else { Self::Processors }
    }
}

/// The seats of one user, in the order of the chain that it followed last.
pub(crate) struct Seats {
    kind: Kind,
    all: Vec<Seat>,
    generation: Option<u64>,
}

impl Seats {
    /// None yet.
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, all: Vec::new(), generation: None }
    }

    /// In the order of the chain.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Seat> {
        self.all.iter_mut()
    }

    /// Whether this chain was followed last, or another that is its equal.
    pub(super) fn is_at(&self, generation: u64) -> bool {
        self.generation == Some(generation)
    }

    /// Turns to another chain: keeps the instances of stages that stayed, lets go of the others.
    pub(crate) fn follow(&mut self, chain: &Chain) {
        if self.is_at(chain.generation) {
            return;
        }
        let mut old = std::mem::take(&mut self.all);
        let mut kept = |stage: Option<&Arc<Stage>>| {
            let stage = stage?;
            old.iter_mut().find_map(|seat| seat.slot_of(stage)?.take())
        };
        self.all = chain
            .places
            .iter()
            .filter_map(|place| place.only(|stage| Kind::of(stage) == self.kind))
            .map(|place| Seat {
                stage: kept(place.stage.as_ref()),
                canary: kept(place.trial.as_ref().map(|trial| trial.stage())),
                place,
            })
            .collect();
        // What is left of the old ones belongs to versions that were replaced.
        for seat in self.all.iter_mut().filter(|seat| seat.stage.is_none()) {
            let Some(stage) = &seat.place.stage else { continue };
            seat.stage = old.iter_mut().find_map(|old| {
                let before = old.place.stage.as_ref().filter(|before| before.spec().name == stage.spec().name)?;
                hand_over(before, old.stage.take()?, stage)
            });
        }
        self.generation = Some(chain.generation);
    }
}

impl Seat {
    /// Where its user's instance of a stage is, if the stage stands here.
    fn slot_of(&mut self, stage: &Arc<Stage>) -> Option<&mut Slot> {
        let is_it = |known: &Arc<Stage>| Arc::ptr_eq(known, stage);
        if self.place.stage.as_ref().is_some_and(is_it) {
            Some(&mut self.stage)
        } else if self.place.trial.as_ref().is_some_and(|trial| is_it(trial.stage())) {
            Some(&mut self.canary)
        } else {
            None
        }
    }
}

/// Which traces a stage decides.
pub(crate) type Takes<'s> = Box<dyn Fn(&[u8; 16]) -> bool + 's>;

impl Seat {
    /// What the samplers here want to see.
    pub(crate) fn shows(&self) -> Show {
        let stages = self.place.stage.iter().chain(self.place.trial.as_ref().map(|trial| trial.stage()));
        let shows = stages.filter_map(|stage| stage.spec().program.plan().sampler.as_ref().map(|sampler| sampler.show));
        shows.max().unwrap_or(Show::NoSpans)
    }

    /// The sampler that is tried here in the shadow.
    pub(crate) fn shadow(&self) -> Option<Arc<Trial>> {
        self.place.trial.clone().filter(|trial| trial.mode() == Mode::Shadow)
    }

    /// The samplers here that count, each with its instance and the traces that it decides: a canary has its share of them.
    pub(crate) fn samplers(&mut self) -> impl Iterator<Item = (&Stage, &mut Slot, Takes<'_>)> {
        let Self { place: Place { stage, trial }, stage: slot, canary } = self;
        // A canary that is out of service is about to be withdrawn.
        let trial =
            trial.as_deref().filter(|trial| matches!(trial.mode(), Mode::Canary(_)) && !trial.stage().is_open());
        let takes = move |id: &[u8; 16]| trial.is_some_and(|trial| trial.takes(id));
        let usual = stage.as_deref().map(|stage| (stage, slot, Box::new(move |id: &_| !takes(id)) as Takes<'_>));
        let tried = trial.map(|trial| (&**trial.stage(), canary, Box::new(takes) as Takes<'_>));
        usual.into_iter().chain(tried)
    }
}
