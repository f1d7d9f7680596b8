//! The folder is the chain: looks, plans, has stages made, publishes. One thread owns all of it; whoever wants to know reads a snapshot.
//!
//! Invariant: whatever fails changes nothing but the status: the chain is published from stages that were made, configured and
//! probed, and a stage keeps its last good version until the next one is.
//! Invariant: a required stage whose file is gone stays in the chain while the gate refuses, so that no request that is on its way
//! passes without it. So does one that nobody has signed who is trusted now.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pipeline::chain::gate::Gate;
use pipeline::chain::live::Chains;
use pipeline::chain::stage::StageSpec;
use tokio::sync::watch as phase;

use super::again::Again;
use super::make::{Job, Made, Maker, Makers};
use super::name;
use super::plan::{self, Plan};
use super::scan::{Found, Scan};
use super::settle::QUIET;
use super::signature::Keys;
use super::slot::{Slot, Slots};
use super::status::{self, Failure, Shared, Status, Step};
use super::took::Took;
use crate::config::plugins::Defaults;
use crate::config::plugins::oci::Oci;
use crate::watch::Watch;

/// How many events wait: hints are dropped beyond it, because one is as good as many.
const EVENTS: usize = 256;

/// What the configuration says about the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where it is.
    pub folder: PathBuf,
    /// Stages without which nothing is received.
    pub required: Vec<String>,
    /// For plugins that do not say otherwise.
    pub defaults: Defaults,
    /// Who may have signed plugins.
    pub keys: Keys,
    /// How plugins are pulled that are not here.
    pub oci: Arc<Oci>,
}

/// What the folder acts on.
pub struct Ground {
    /// Where chains are published.
    pub chains: Chains,
    /// What is closed while a required stage is missing.
    pub gate: Gate,
    /// Called after each publish.
    pub published: Box<dyn Fn() + Send>,
    /// Makes stages.
    pub maker: Arc<dyn Maker>,
}

/// The running folder; ends when it is dropped.
pub struct Folder {
    events: SyncSender<Event>,
    status: Shared,
    opened: phase::Receiver<bool>,
    worker: Option<JoinHandle<()>>,
}

/// What the worker waits for.
pub(super) enum Event {
    /// Something may have changed.
    Hint,
    /// A stage was made, or not.
    Made(Box<Made>),
    /// The configuration changed.
    Settings(Box<Settings>),
    /// The end.
    Stop,
}

// === impl Folder ===

impl Folder {
    /// Starts to follow the folder.
    pub fn start(settings: Settings, ground: Ground) -> io::Result<Self> {
        let (events, waiting) = sync_channel(EVENTS);
        let status = Shared::default();
        let (open, opened) = phase::channel(false);
        let makers = Makers::start(&ground.maker, &events)?;
        let worker = Worker {
            scan: Scan::new(&settings.folder),
            watch: Watch::new(&settings.folder, hint(&events)),
            settings,
            revision: 0,
            ground,
            makers,
            slots: Slots::default(),
            order: Vec::new(),
            twice: Vec::new(),
            notes: Vec::new(),
            moving: true,
            due: None,
            state: Status::default(),
            status: status.clone(),
            open,
            events: events.clone(),
        };
        let worker = std::thread::Builder::new().name("plugins".into()).spawn(move || worker.run(&waiting))?;
        Ok(Self { events, status, opened, worker: Some(worker) })
    }

    /// Where its newest status is.
    #[must_use]
    pub fn status(&self) -> Shared {
        self.status.clone()
    }

    /// Turns true once every file is live or has failed and no required stage is missing, and then stays so.
    #[must_use]
    pub fn opened(&self) -> phase::Receiver<bool> {
        self.opened.clone()
    }

    /// Takes other settings.
    pub fn reconfigure(&self, settings: Settings) {
        // A worker that has ended has nothing left to configure.
        let _ended = self.events.send(Event::Settings(Box::new(settings)));
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ended = self.events.send(Event::Stop);
        if let Some(worker) = self.worker.take() {
            let _panicked = worker.join();
        }
    }
}

fn hint(events: &SyncSender<Event>) -> impl Fn() + Send + Sync + 'static {
    let events = events.clone();
    move || {
        // One hint that waits is as good as many.
        let _full = events.try_send(Event::Hint);
    }
}

// === impl Worker ===

struct Worker {
    settings: Settings,
    /// Counts the changes of the defaults, as recipes do.
    revision: u64,
    ground: Ground,
    scan: Scan,
    watch: Watch,
    makers: Makers,
    slots: Slots,
    order: Vec<Arc<str>>,
    twice: Vec<(String, String)>,
    notes: Vec<String>,
    /// Whether files are changing, or the folder was not looked at yet.
    moving: bool,
    /// When the next look is due, if files are changing.
    due: Option<Instant>,
    state: Status,
    status: Shared,
    open: phase::Sender<bool>,
    events: SyncSender<Event>,
}

impl Worker {
    fn run(mut self, waiting: &Receiver<Event>) {
        loop {
            self.watch.renew();
            self.look();
            self.distrust();
            self.publish();
            self.snapshot();
            let now = Instant::now();
            let left = |due: Instant| due.saturating_duration_since(now);
            // What is due to be tried again may have to wait until its file stands still.
            let again = self.slots.due().map(|due| left(due).max(QUIET));
            let due = self.due.map(left).into_iter().chain(again).min();
            let patience = self.watch.patience();
            if !self.wait(waiting, due.map_or(patience, |due| due.min(patience))) {
                return;
            }
        }
    }

    /// Takes the next event and all that wait behind it. Answers whether to go on.
    fn wait(&mut self, waiting: &Receiver<Event>, patience: Duration) -> bool {
        let mut next = match waiting.recv_timeout(patience) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return false,
        };
        while let Some(event) = next {
            match event {
                Event::Hint => {}
                Event::Made(made) => self.made(*made),
                Event::Settings(settings) => self.configure(*settings),
                Event::Stop => return false,
            }
            next = waiting.try_recv().ok();
        }
        true
    }

    fn configure(&mut self, settings: Settings) {
        if settings.defaults != self.settings.defaults || settings.keys != self.settings.keys {
            self.revision += 1;
        }
        if settings.oci != self.settings.oci {
            self.slots.hasten(Instant::now());
        }
        if settings.folder != self.settings.folder {
            self.scan = Scan::new(&settings.folder);
            self.watch = Watch::new(&settings.folder, hint(&self.events));
        }
        if settings != self.settings {
            self.state.remember("the configuration of the plugins was changed");
        }
        self.settings = settings;
    }

    fn look(&mut self) {
        let whole = self.watch.take_whole();
        let found = match self.scan.look(self.revision, self.settings.keys.are_asked_for(), &whole) {
            Ok(found) => found,
            Err(error) => {
                let note = format!("the folder cannot be read: {error}");
                if self.notes.first() != Some(&note) {
                    tracing::warn!(folder = %self.settings.folder.display(), %error, "the plugin folder cannot be read, nothing changes");
                }
                (self.notes, self.moving, self.due) = (vec![note], false, None);
                return;
            }
        };
        let plan = plan::plan(&self.slots.known(Instant::now()), &found.wanted);
        self.execute(plan, found);
    }

    fn execute(&mut self, plan: Plan, found: Found) {
        for note in found.notes.iter().filter(|note| !self.notes.contains(note)) {
            tracing::warn!("{note}");
        }
        (self.notes, self.moving, self.due) = (found.notes, found.moving, found.due);
        for stage in &plan.retire {
            self.retire(stage);
        }
        for (stage, file) in &plan.order {
            self.slots.place(stage, file);
        }
        for stage in &plan.settle {
            if self.slots.get(stage).is_some_and(|slot| slot.error.is_some()) {
                tracing::info!(plugin = %stage, "the folder holds again what runs");
                self.state.remember(format!("{stage}: the folder holds again what runs"));
            }
            self.slots.settle(stage);
        }
        for (file, earlier) in &plan.twice {
            if !self.twice.iter().any(|(known, _)| known == file) {
                tracing::error!("{file} cannot be used: {earlier} is already this stage");
                self.state.remember(format!("{file} cannot be used: {earlier} is already this stage"));
            }
        }
        self.twice = plan.twice;
        for (stem, file, why) in found.unreadable {
            let failure = Failure { file, version: None, step: Step::Read, why, passing: false, at: status::now() };
            let stage = name::stage_of(&stem);
            self.slots.unreadable(stage);
            self.report(stage, &failure);
            self.slots.failed(stage, failure);
        }
        for (stage, file, recipe) in plan.load {
            let (settled, stem) = (Instant::now(), name::stem_of(&file));
            let noticed = self.scan.take_noticed(stem).unwrap_or(settled);
            let folder = self.scan.folder();
            let sidecar = recipe.sidecar.map(|_| {
                let sidecar = folder.join(format!("{stem}.yaml"));
                if sidecar.exists() { sidecar } else { folder.join(format!("{stem}.yml")) }
            });
            let job = Job {
                stage: stage.clone(),
                plugin: folder.join(&file),
                sidecar,
                signature: folder.join(name::signature_of(stem)),
                recipe: recipe.clone(),
                defaults: self.settings.defaults,
                keys: self.settings.keys.clone(),
                oci: self.settings.oci.clone(),
                noticed,
                settled,
            };
            self.slots.loading(&stage, recipe);
            self.makers.make(job);
        }
        self.order = self.slots.order();
    }

    fn is_required(&self, stage: &str) -> bool {
        self.settings.required.iter().any(|required| required == stage)
    }

    /// Keys that are trusted no longer take along what only they have signed, as files do that are removed.
    fn distrust(&mut self) {
        for stage in self.slots.distrusted(&self.settings.keys) {
            if !self.is_required(&stage) {
                tracing::error!(plugin = %stage, "what runs of a plugin is not signed by a trusted key, it is taken out");
                self.state.remember(format!("{stage} was taken out: what ran is not signed by a trusted key"));
                self.slots.withdraw(&stage);
            } else if self.slots.distrust(&stage) {
                tracing::error!(plugin = %stage, "what runs of a required plugin is not signed by a trusted key, traffic is refused");
                self.state.remember(format!("{stage}: what runs is not signed by a trusted key, and it is required"));
            }
        }
    }

    fn retire(&mut self, stage: &Arc<str>) {
        let required = self.is_required(stage);
        let Some(slot) = self.slots.get(stage) else { return };
        if required && slot.stage.is_some() {
            if !slot.gone {
                self.state.remember(format!("{stage}: its file is gone, and it is required"));
                tracing::error!(plugin = %stage, "a required plugin is gone, traffic is refused until it is back");
                self.slots.gone(stage);
            }
            return;
        }
        tracing::info!(plugin = %stage, "plugin removed");
        self.state.remember(format!("{stage} was removed"));
        self.slots.remove(stage);
        self.makers.forget(stage);
        self.ground.maker.forget(stage);
    }

    fn made(&mut self, made: Made) {
        self.makers.done(&made);
        let Made { stage: name, recipe, times, outcome, .. } = made;
        if self.slots.get(&name).is_none_or(|slot| slot.known.loading.as_ref() != Some(&recipe)) {
            if self.slots.get(&name).is_none() {
                // What making it has left behind after it was removed.
                self.ground.maker.forget(&name);
            }
            return; // Overtaken by another change, or removed.
        }
        match outcome {
            Ok(ready) => {
                tracing::debug!(plugin = %name, version = %ready.stage.spec().version, "plugin is ready");
                self.slots.live(&name, recipe, ready, times);
            }
            Err(failure) => {
                let now = Instant::now();
                if failure.step == Step::Read {
                    // The look was overtaken by a change or by a new name, so the next one trusts nothing of it.
                    self.slots.get(&name).inspect(|slot| self.scan.forget(name::stem_of(&slot.file)));
                    if self.slots.once_more(&name, &recipe, Again::at_once(now)) {
                        return;
                    }
                }
                // Of a plugin and its signature one comes before the other; the second is another recipe, and made at once.
                if failure.step == Step::Signature && self.slots.once_more(&name, &recipe, Again::in_a_moment(now)) {
                    return;
                }
                self.report(&name, &failure);
                self.slots.not_made(&name, recipe, failure, now);
            }
        }
    }

    /// Says what failed, unless that was said already.
    fn report(&mut self, stage: &str, failure: &Failure) {
        if self.slots.get(stage).and_then(|slot| slot.error.as_ref()).is_some_and(|known| known.is_same(failure)) {
            return;
        }
        let last_good =
            self.slots.get(stage).and_then(|slot| slot.stage.as_ref()).map(|stage| stage.spec().version.clone());
        let Failure { file, step, why, passing, .. } = failure;
        let again = if *passing { "; it is tried again" } else { "" };
        let stays = last_good.map_or_else(String::new, |version| format!("; version {version} stays"));
        tracing::error!(plugin = stage, %file, %step, why, "plugin cannot be used{stays}{again}");
        self.state.remember(format!("{file} failed at step {step}: {why}{stays}{again}"));
    }

    /// Publishes the stages that are ready, if that is another chain than the live one.
    fn publish(&mut self) {
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
        let stages: Vec<_> = self.order.iter().filter_map(|stage| self.slots.get(stage)?.stage.clone()).collect();
        let live = self.ground.chains.current();
        let same = live.stages.len() == stages.len() && live.stages.iter().zip(&stages).all(|(a, b)| Arc::ptr_eq(a, b));
        if !same || live.generation == 0 {
            let names: Vec<String> =
                stages.iter().map(|stage| format!("{} {}", stage.spec().name, stage.spec().version)).collect();
            let generation = self.ground.chains.publish(stages);
            (self.ground.published)();
            self.state.generation = generation;
            for (stage, took) in self.slots.published(generation, Instant::now()) {
                let StageSpec { name, version, .. } = stage.spec();
                let Took {
                    settle_ms,
                    wait_ms,
                    pull_ms,
                    check_ms,
                    compile_ms,
                    cached,
                    configure_ms,
                    probe_ms,
                    total_ms,
                } = took;
                tracing::info!(plugin = %name, %version, generation, total_ms, settle_ms, wait_ms, pull_ms, check_ms, compile_ms, cached, configure_ms, probe_ms, "plugin is live");
            }
            let chain = if names.is_empty() { "no plugins".to_owned() } else { names.join(", ") };
            tracing::info!(generation, chain, "chain is live");
            self.state.remember(format!("generation {generation} is live: {chain}"));
        }
        if reason.is_none() {
            if self.state.refusing.is_some() {
                tracing::info!("every required plugin is there, traffic is taken again");
                self.ground.gate.open();
            }
            self.open.send_if_modified(|open| !std::mem::replace(open, true));
        }
        (self.state.refusing, self.state.settled) = (reason, true);
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
                Some(Slot { distrusted: true, error: Some(error), .. }) => {
                    Some(format!("plugin {required} is required and what runs is not signed by a trusted key: {error}"))
                }
                Some(Slot { stage: Some(_), .. }) => None,
                Some(Slot { error: Some(error), .. }) => {
                    Some(format!("plugin {required} is required and failed: {error}"))
                }
                Some(_) => Some(format!("plugin {required} is required and not ready yet")),
            }
        })
    }

    fn snapshot(&mut self) {
        self.state.folder = self.settings.folder.display().to_string();
        self.state.stages = self.order.iter().filter_map(|stage| Some(self.slots.get(stage)?.status(stage))).collect();
        self.state.stages.extend(self.twice.iter().map(|(file, earlier)| Slot::twice(file, earlier)));
        self.state.notes.clone_from(&self.notes);
        self.status.store(Arc::new(self.state.clone()));
    }
}

#[cfg(test)]
mod tests;
