//! Publishes what is ready, opens and closes the gate, and shows how things stand.

use std::sync::Arc;
use std::time::Instant;

use pipeline::chain::place::Place;
use pipeline::chain::stage::StageSpec;
use pipeline::chain::trial::{Mode, Trial};

use super::Worker;
use crate::plugins::slot::Slot;
use crate::plugins::took::Took;
use crate::plugins::version::Phase;

impl Worker {
    /// Publishes the stages that are ready, if that is another chain than the live one.
    pub(super) fn publish(&mut self) {
        let settled = self.is_settled();
        // The first chain is published whole.
        if !settled && !self.state.settled {
            return;
        }
        let reason = self.missing();
        if let Some(reason) = &reason
            && self.state.refusing.as_ref() != Some(reason)
        {
            tracing::error!(reason, "traffic is refused");
            self.ground.gate.close(reason.clone());
        }
        let places: Vec<_> = self.order.iter().filter_map(|stage| self.slots.get(stage)?.in_chain()).collect();
        let live = self.ground.chains.current();
        let same = live.places.len() == places.len() && live.places.iter().zip(&places).all(|(a, b)| a.is_same(b));
        drop(live);
        if !same || self.state.generation == 0 {
            self.publish_chain(places);
        } else {
            // What counts again before anything else was published is in the chain already.
            self.went_live(self.state.generation);
        }
        let opens = reason.is_none() && (self.state.refusing.is_some() || !*self.open.borrow());
        let refused = std::mem::replace(&mut self.state.refusing, reason).is_some();
        self.state.settled = true;
        if opens {
            if refused {
                tracing::info!("every required plugin is there, traffic is taken again");
                self.ground.gate.open();
            }
            // Not said before it is so; and whoever hears of it and asks how things stand finds it said.
            self.snapshot();
            self.open.send_if_modified(|open| !std::mem::replace(open, true));
        }
    }

    fn publish_chain(&mut self, places: Vec<Place>) {
        let names: Vec<String> = places.iter().map(name).collect();
        let generation = self.ground.chains.publish(places);
        (self.ground.published)();
        self.state.generation = generation;
        self.went_live(generation);
        let chain = if names.is_empty() { "no plugins".to_owned() } else { names.join(", ") };
        tracing::info!(generation, chain, "chain is live");
        self.state.remember(format!("generation {generation} is live: {chain}"));
    }

    /// Records what is in the live chain and was not before.
    fn went_live(&mut self, generation: u64) {
        for (name, slot) in self.slots.iter_mut() {
            if slot.published(generation, Instant::now()) {
                if let Some(sidecar) = &slot.sidecar {
                    self.ground.maker.counts(name, sidecar);
                }
                self.drain.remove(slot.number);
                self.history.enter(slot.number, Phase::Live);
                let replaced = slot.previous.as_ref().map(|previous| previous.number);
                self.history.change(slot.number, |version| {
                    (version.generation, version.replaced) = (Some(generation), replaced);
                });
                said_live(slot, generation);
            }
            if let Some(tried) = &mut slot.trial
                && !std::mem::replace(&mut tried.is_published, true)
            {
                if slot.stage.is_none() {
                    self.ground.maker.counts(name, &tried.sidecar);
                }
                let phase = match tried.trial.mode() {
                    Mode::Shadow => Phase::Shadowing,
                    Mode::Canary(_) => Phase::Canary,
                };
                self.history.enter(tried.number, phase);
                let version = &tried.trial.stage().spec().version;
                tracing::info!(plugin = %name, %version, generation, mode = phase.name(), "plugin is tried");
                self.state.remember(format!("{name}: version {version} is tried ({})", phase.name()));
            }
        }
    }

    fn is_settled(&self) -> bool {
        !self.moving && self.slots.iter().all(|(_, slot)| slot.is_settled())
    }

    /// Which required stage is missing, and why.
    fn missing(&self) -> Option<String> {
        self.settings.required.iter().find_map(|required| {
            let folder = self.settings.folder.display();
            match self.slots.get(required) {
                None => Some(format!("plugin {required} is required and not in {folder}")),
                Some(Slot { gone: true, .. }) => {
                    Some(format!("plugin {required} is required and was removed from {folder}"))
                }
                Some(Slot { distrusted: true, error, .. }) => {
                    let error = error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
                    Some(format!("plugin {required} is required and what runs is not signed by a trusted key{error}"))
                }
                Some(Slot { stage: Some(_), .. }) => None,
                Some(Slot { trial: Some(_), .. }) => {
                    Some(format!("plugin {required} is required and only tried: no version of it counts yet"))
                }
                Some(Slot { error: Some(error), .. }) => {
                    Some(format!("plugin {required} is required and failed: {error}"))
                }
                Some(slot) if slot.known.held.is_some() => {
                    Some(format!("plugin {required} is required and the version in {folder} was withdrawn"))
                }
                Some(_) => Some(format!("plugin {required} is required and not ready yet")),
            }
        })
    }

    pub(super) fn snapshot(&mut self) {
        self.state.folder = self.settings.folder.display().to_string();
        self.state.stages = self.order.iter().filter_map(|stage| Some(self.slots.get(stage)?.status(stage))).collect();
        self.state.stages.extend(self.twice.iter().map(|(file, earlier)| Slot::twice(file, earlier)));
        self.state.notes.clone_from(&self.notes);
        self.state.versions = self.history.newest_first();
        self.status.store(Arc::new(self.state.clone()));
    }
}

/// What stands at a place, for people.
fn name(place: &Place) -> String {
    let spec = place.stage.as_ref().map(|stage| stage.spec());
    let tried = |trial: &Arc<Trial>| {
        let how = match trial.mode() {
            Mode::Shadow => "in the shadow".to_owned(),
            Mode::Canary(share) => format!("for {} % of the traces", share * 100.0),
        };
        let StageSpec { name, version, .. } = trial.stage().spec();
        format!("{name} {version} {how}")
    };
    let counts = spec.map(|StageSpec { name, version, .. }| format!("{name} {version}"));
    counts.into_iter().chain(place.trial.as_ref().map(tried)).collect::<Vec<_>>().join(" with ")
}

fn said_live(slot: &Slot, generation: u64) {
    let Some(StageSpec { name, version, .. }) = slot.stage.as_ref().map(|stage| stage.spec()) else { return };
    let Some(took) = slot.took else {
        tracing::info!(plugin = %name, %version, generation, "plugin is live");
        return;
    };
    let Took { settle_ms, wait_ms, pull_ms, check_ms, compile_ms, cached, configure_ms, probe_ms, total_ms } = took;
    tracing::info!(plugin = %name, %version, generation, total_ms, settle_ms, wait_ms, pull_ms, check_ms, compile_ms, cached, configure_ms, probe_ms, "plugin is live");
}
