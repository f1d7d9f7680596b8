//! From one set of destinations to the next: because a configuration says so, or because a name that traces are shared out behind leads
//! elsewhere. Everything that can fail comes before anything is changed.
//!
//! What becomes of a queue that is there no longer: the next of the same name and endpoint takes its place, with all that it holds. Where there
//! is none but the destination goes on, what waits is moved to its other queues ([`mover`](super::mover)). Otherwise it is sent, for a while.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use otlp::signal::Signal;
use tokio::time::Instant;
use tokio_util::sync::DropGuard;

use super::circle::{Circle, Heirs};
use super::config::{DestinationConfig, Endpoints};
use super::destination::Destination;
use super::members::{self, Found, Plan, Role};
use super::metrics::DropReason;
use super::queue::Spool;
use super::routes::Routes;
use super::secrets::Secrets;
use super::set::Set;
use super::tls::{self, Material};
use super::{Exports, Inner, StartError, folders};
use crate::kafka::Files;

/// How long a destination that a reload has taken out goes on with what it holds.
const REMOVAL_GRACE: Duration = Duration::from_secs(30);

/// How often it is looked whether a queue that is left behind is empty.
const LOOK: Duration = Duration::from_millis(100);

/// A destination's name, and one of its signals.
type Key = (String, Signal);

/// What is remembered from one change to the next.
#[derive(Default)]
pub(super) struct State {
    /// The end has begun: nothing is changed any more.
    pub has_ended: bool,
    /// What was asked for last.
    pub configs: Vec<DestinationConfig>,
    /// Where names led then.
    pub found: Found,
    heirs: HashMap<Key, Arc<Heirs>>,
    /// By destination: whose names are followed, for as long as the guard is there.
    pub followed: HashMap<String, (Endpoints, DropGuard)>,
}

/// A queue that is to be there.
enum Next {
    /// As it is.
    Kept(Arc<Destination>),
    Made(Box<Ready>),
}

/// All that a new one needs.
struct Ready {
    plan: Plan,
    material: Material,
    secrets: Arc<Secrets>,
    /// Whose place it takes.
    known: Option<Arc<Destination>>,
    spool: Option<Arc<Spool>>,
    is_new: bool,
}

/// The queues of one destination, as they are to be.
struct Group {
    key: Key,
    queues: Vec<Next>,
    /// What an earlier run has left behind.
    leftovers: Vec<Next>,
}

/// A queue that was just made.
struct Made {
    one: Arc<Destination>,
    known: Option<Arc<Destination>>,
    is_new: bool,
}

impl Exports {
    /// Makes it so that these destinations are there, with names leading there. Of all but the one that is named, if one is, nothing
    /// changes.
    pub(super) fn apply(
        &self,
        state: &mut State,
        configs: &[DestinationConfig],
        found: &Found,
        only: Option<&str>,
    ) -> Result<(), StartError> {
        let routes_of = |signal| {
            let takers = configs.iter().filter(|config| config.signals.contains(&signal));
            Routes::new(takers.map(|config| config.when.as_ref()))
        };
        let [traces, metrics, logs] = Signal::ALL.map(routes_of);
        let routes = [traces?, metrics?, logs?];
        let (old, leaving) = (self.0.all(), self.0.leaving.lock().clone());
        // One that is given up is nobody's to take over any more.
        let is_there = |one: &&Arc<Destination>| !one.queue().closing().is_cancelled() || one.queue().is_spent();
        let known: Vec<_> = old.iter().chain(leaving.iter().filter(is_there)).cloned().collect();
        let mut groups = Vec::new();
        for config in configs.iter().cloned().flat_map(DestinationConfig::by_signal) {
            groups.push(self.group(&config, found, &old, &known, only)?);
        }

        let mut made = Vec::new();
        let mut new: Vec<(Key, Vec<Arc<Destination>>)> = Vec::new();
        // Each with whom it was until now.
        let mut leavers: Vec<(Arc<Destination>, Option<Arc<Destination>>)> = Vec::new();
        for group in groups {
            let queues = group.queues.into_iter().map(|next| self.make(next, &mut made));
            new.push((group.key, queues.collect::<Result<_, _>>()?));
            for next in group.leftovers {
                leavers.push((self.make(next, &mut made)?, None));
            }
        }
        let stays = |gone: &Arc<Destination>| new.iter().flat_map(|(_, all)| all).any(|kept| Arc::ptr_eq(kept, gone));
        let mut gone: Vec<_> = old.iter().filter(|known| !stays(known)).cloned().collect();
        gone.retain(|gone| {
            let is_taken_over =
                made.iter().any(|made| made.known.as_ref().is_some_and(|known| Arc::ptr_eq(known, gone)));
            let goes_on = new.iter().any(|((name, signal), _)| name == gone.name() && *signal == gone.signal());
            let moves_already = gone.role() == Role::Moves;
            if is_taken_over || !goes_on {
                return true;
            }
            if moves_already {
                leavers.push((Arc::clone(gone), None));
                return false;
            }
            let Inner { network, metrics, runtime, .. } = &*self.0;
            // What only moves needs nothing that could be missing.
            if let Ok(one) = gone.leaving(network, metrics, runtime) {
                leavers.push((Arc::clone(&one), Some(Arc::clone(gone))));
                made.push(Made { one, known: Some(Arc::clone(gone)), is_new: false });
            }
            true
        });

        // Invariant: nobody reads back what is on disk before its account is where it is read to: a sender, or a commit that makes room.
        for Made { one, known, is_new } in &made {
            if *is_new {
                one.queue().restore();
            }
            if let Some(known) = known {
                known.queue().replace(one.queue());
            }
        }
        self.show(state, &old, &new, routes);
        for Made { one, .. } in &made {
            let key = (one.name().to_owned(), one.signal());
            one.begin(&self.0.runtime, state.heirs.entry(key).or_default());
        }
        self.leave(leavers);
        // Nobody is left to whom they could go.
        for orphan in leaving
            .iter()
            .filter(|one| !new.iter().any(|((name, signal), _)| name == one.name() && *signal == one.signal()))
        {
            orphan.queue().close(DropReason::Removed);
        }
        self.retire(gone);
        Ok(())
    }

    /// Reads and opens all that the queues of one destination need.
    fn group(
        &self,
        config: &DestinationConfig,
        found: &Found,
        old: &[Arc<Destination>],
        known: &[Arc<Destination>],
        only: Option<&str>,
    ) -> Result<Group, StartError> {
        let key = (config.name.clone(), config.signal());
        let is_ours = |known: &&Arc<Destination>| known.name() == key.0 && known.signal() == key.1;
        if only.is_some_and(|only| only != config.name) {
            let queues = old.iter().filter(is_ours).cloned().map(Next::Kept).collect();
            return Ok(Group { key, queues, leftovers: Vec::new() });
        }
        let is_first = !known.iter().any(|known| is_ours(&known));
        let plans = members::plans(config, found);
        let leftovers = if is_first { members::leftovers(config, &plans) } else { Vec::new() };
        let ready = |plan: Plan| {
            let known = known.iter().find(|known| known.is_for(&plan)).cloned();
            self.ready(plan, known)
        };
        let queues = plans.into_iter().map(ready).collect::<Result<_, _>>()?;
        let leftovers = leftovers.into_iter().map(ready).collect::<Result<_, _>>()?;
        Ok(Group { key, queues, leftovers })
    }

    fn ready(&self, plan: Plan, known: Option<Arc<Destination>>) -> Result<Next, StartError> {
        let config = &plan.config;
        let tls = |error| StartError::Tls { name: config.name.clone(), error };
        let kafka = |error| StartError::Kafka { name: config.name.clone(), error };
        let files = config.kafka.as_ref().map(|kafka| Files::read(&kafka.connect)).transpose().map_err(kafka)?;
        let material = Material::read(config).map_err(tls)?.with_kafka(files);
        for endpoint in config.endpoints.iter() {
            tls::client(&config.tls, endpoint, &material).map_err(tls)?;
        }
        let secrets = Secrets::read(&config.name, config.file_headers.clone());
        let secrets = secrets.map_err(|error| StartError::Secret { name: config.name.clone(), error })?;
        let (spool, is_new) = folders::spool(config, known.as_deref(), &self.0.metrics)?;
        Ok(match known {
            Some(known) if known.is(&plan, &material) => Next::Kept(known),
            known => Next::Made(Box::new(Ready { plan, material, secrets, known, spool, is_new })),
        })
    }

    fn make(&self, next: Next, made: &mut Vec<Made>) -> Result<Arc<Destination>, StartError> {
        let ready = match next {
            Next::Kept(known) => return Ok(known),
            Next::Made(ready) => *ready,
        };
        let Ready { plan, material, secrets, known, spool, is_new } = ready;
        let name = plan.config.name.clone();
        let Inner { network, metrics, runtime, .. } = &*self.0;
        let one = Destination::new(plan, material, secrets, network, spool, metrics, runtime)
            .map_err(|error| error.of(name))?;
        made.push(Made { one: Arc::clone(&one), known, is_new });
        Ok(one)
    }

    /// From here on what comes goes there.
    fn show(
        &self,
        state: &mut State,
        old: &[Arc<Destination>],
        new: &[(Key, Vec<Arc<Destination>>)],
        routes: [Option<Routes>; Signal::ALL.len()],
    ) {
        let all = || new.iter().flat_map(|(_, queues)| queues);
        self.0.metrics.show_limits(all().map(|kept| (kept.name(), kept.signal(), kept.config().queue.max_bytes)));
        let shown: HashSet<_> = all().flat_map(|kept| kept.endpoints()).collect();
        for one in old {
            for (destination, endpoint) in one.endpoints().filter(|endpoint| !shown.contains(endpoint)) {
                self.0.metrics.forget_endpoint(destination, endpoint);
                if one.member().is_some() {
                    self.0.metrics.forget_member(destination, endpoint);
                }
            }
        }
        // They keep queues, and so their files, for as long as they are known.
        state.heirs.retain(|key, _| new.iter().any(|(known, _)| known == key));
        let mut sets = [const { Vec::new() }; Signal::ALL.len()];
        for (key, queues) in new {
            // Where no endpoint is known yet, the one queue holds what comes and has no heir.
            let is_known = queues.iter().all(|one| one.role() == Role::Sends);
            let circle = Arc::new(if is_known { Circle::of(queues) } else { Circle::default() });
            state.heirs.entry(key.clone()).or_default().are(Arc::clone(&circle));
            sets[key.1 as usize].push((queues.clone(), circle));
        }
        for ((signal, routes), groups) in Signal::ALL.into_iter().zip(routes).zip(sets) {
            self.0.current[signal as usize].store(Arc::new(Set::new(groups, routes)));
        }
    }

    /// Has the queues of endpoints that have gone moved, and lets go of them when that is done.
    fn leave(&self, leavers: Vec<(Arc<Destination>, Option<Arc<Destination>>)>) {
        for (one, before) in leavers {
            self.0.leaving.lock().push(Arc::clone(&one));
            let exports = self.clone();
            self.0.runtime.spawn(async move {
                if let Some(before) = before {
                    // Requests that are under way may come back.
                    before.finished().await;
                }
                exports.see_off(one).await;
            });
        }
    }

    async fn see_off(self, one: Arc<Destination>) {
        let queue = Arc::clone(one.queue());
        // It closes before that if its endpoint comes back, the destination is removed or the process ends.
        while !queue.closing().is_cancelled() && !queue.is_spent() {
            tokio::time::sleep(LOOK).await;
        }
        let is_moved = !queue.closing().is_cancelled();
        if !is_moved && self.0.reload.lock().has_ended {
            // Whoever ends all sees to it.
            return;
        }
        let lost = one.finish(DropReason::Removed, Instant::now() + REMOVAL_GRACE).await;
        if is_moved
            && lost == 0
            && let Some(member) = one.member()
        {
            tracing::info!(
                destination = one.name(),
                endpoint = member.name,
                "what waited for an endpoint that has gone is with the others"
            );
        }
        let ended = tokio::task::spawn_blocking(move || {
            // Others may have its files open for a moment yet: what is done with goes all the same.
            if let Some(disk) = queue.disk() {
                disk.store().flush();
            }
            // Nobody may ask for its folder in between.
            let _state = self.0.reload.lock();
            self.0.leaving.lock().retain(|known| !Arc::ptr_eq(known, &one));
            let folder = one.config().queue.mode.folder().filter(|_| one.member().is_some() && !queue.is_replaced());
            let folder = folder.map(std::path::Path::to_owned);
            drop((one, queue));
            if let Some(folder) = folder.filter(|_| is_moved) {
                members::forget_folder(&folder);
            }
        });
        drop(ended.await);
    }

    fn retire(&self, gone: Vec<Arc<Destination>>) {
        let mut retiring = self.0.retiring.lock();
        retiring.retain(|known| !known.is_finished());
        for destination in gone {
            destination.queue().close(DropReason::Removed);
            retiring.push(Arc::clone(&destination));
            let deadline = Instant::now() + REMOVAL_GRACE;
            let exports = self.clone();
            self.0.runtime.spawn(async move {
                let lost = destination.finish(DropReason::Removed, deadline).await;
                if lost > 0 {
                    tracing::warn!(
                        destination = destination.name(),
                        signal = %destination.signal(),
                        items = lost,
                        "dropped: the destination was removed and its back end did not take them in time"
                    );
                }
                // Its folder is free now. Closing that may wait for the disk.
                let closing = tokio::task::spawn_blocking(move || {
                    exports.0.retiring.lock().retain(|known| !Arc::ptr_eq(known, &destination));
                    drop(destination);
                });
                drop(closing);
            });
        }
    }
}
