//! Lookup tables: files that are read into memory, followed, and replaced as a whole when they change. Plugins ask them by
//! [`wasm::tables`].
//!
//! Invariant: a file that cannot be used changes nothing but the status: the last good table stays.
//! Invariant: one thread reads; whoever asks takes what is published, and waits for nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use crate::config::tables::TableConfig;
use crate::plugins::settle::{Listing, Settling, Stamp};
use crate::watch::Watch;

mod csv;
mod json;
mod keyed;
mod metrics;
mod mmdb;
mod read;
mod slot;
pub mod status;

pub use metrics::Metrics;
use slot::Slot;
use status::Shared;

/// How many events wait: hints are dropped beyond it, because one is as good as many.
const EVENTS: usize = 16;
/// How often to look where there is nothing to look at.
const IDLE: Duration = Duration::from_secs(5);

/// Follows the files; ends when it is dropped.
pub struct Tables {
    events: SyncSender<Event>,
    status: Shared,
    worker: Option<JoinHandle<()>>,
}

enum Event {
    Hint,
    Settings(Vec<TableConfig>),
    Stop,
}

/// What is wrong with the files of these tables, if they are read now: the table and why.
#[must_use]
pub fn check(settings: &[TableConfig]) -> Vec<(String, String)> {
    let wrong = |config: &TableConfig| {
        let error = read::read(config).err()?;
        Some((config.name.clone(), format!("{}: {error}", config.file.display())))
    };
    settings.iter().filter_map(wrong).collect()
}

// === impl Tables ===

impl Tables {
    /// Reads all files once, so that plugins find them from the start, and follows them from then on. Blocks for as long as the reading
    /// takes.
    pub fn start(settings: Vec<TableConfig>, published: wasm::tables::Tables, metrics: Metrics) -> io::Result<Self> {
        let (events, waiting) = sync_channel(EVENTS);
        let status = Shared::default();
        let mut worker = Worker {
            slots: Vec::new(),
            settling: Settling::default(),
            watches: BTreeMap::new(),
            published,
            metrics,
            status: status.clone(),
            events: events.clone(),
        };
        worker.configure(settings);
        worker.load_all();
        let worker = std::thread::Builder::new().name("tables".into()).spawn(move || worker.run(&waiting))?;
        Ok(Self { events, status, worker: Some(worker) })
    }

    /// Where its newest status is.
    #[must_use]
    pub fn status(&self) -> Shared {
        self.status.clone()
    }

    /// Takes other settings.
    pub fn reconfigure(&self, settings: Vec<TableConfig>) {
        // A worker that has ended has nothing left to configure.
        let _ended = self.events.send(Event::Settings(settings));
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        let _ended = self.events.send(Event::Stop);
        if let Some(worker) = self.worker.take() {
            let _panicked = worker.join();
        }
    }
}

// === impl Worker ===

struct Worker {
    /// In the order of the configuration.
    slots: Vec<Slot>,
    /// Which files stand still, by their tables' names.
    settling: Settling,
    /// By folder. Where a file is a link, as in a volume of Kubernetes, the link's folder is where it is replaced.
    watches: BTreeMap<PathBuf, Watch>,
    published: wasm::tables::Tables,
    metrics: Metrics,
    status: Shared,
    events: SyncSender<Event>,
}

impl Worker {
    fn run(mut self, waiting: &Receiver<Event>) {
        loop {
            let due = self.settling.due().map(|due| due.saturating_duration_since(Instant::now()));
            let patience = self.watches.values().map(Watch::patience).min().unwrap_or(IDLE);
            match waiting.recv_timeout(due.map_or(patience, |due| due.min(patience))) {
                Ok(Event::Hint) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Event::Settings(settings)) => self.configure(settings),
                Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
            self.look();
        }
    }

    fn configure(&mut self, settings: Vec<TableConfig>) {
        let mut known: Vec<Slot> = std::mem::take(&mut self.slots);
        for config in settings {
            let at = known.iter().position(|slot| slot.config().name == config.name);
            let slot = if let Some(mut slot) = at.map(|at| known.swap_remove(at)) {
                slot.configure(config);
                slot
            } else {
                self.metrics.begin(&config.name);
                Slot::new(config)
            };
            self.slots.push(slot);
        }
        for gone in known {
            tracing::info!(table = %gone.config().name, "lookup table removed");
            self.metrics.end(&gone.config().name);
        }
        let folders: BTreeSet<PathBuf> = self.slots.iter().map(|slot| folder_of(&slot.config().file)).collect();
        self.watches.retain(|folder, _| folders.contains(folder));
        for folder in folders {
            let events = self.events.clone();
            let hint = move || {
                // One hint that waits is as good as many.
                let _full = events.try_send(Event::Hint);
            };
            self.watches.entry(folder.clone()).or_insert_with(|| Watch::new(folder, hint));
        }
        self.publish();
    }

    /// Reads every file as it is.
    fn load_all(&mut self) {
        for slot in &mut self.slots {
            // One that is written just now is read when it stands still.
            let _changed = slot.load(stamp_of(&slot.config().file), &self.metrics);
        }
        self.publish();
    }

    /// Reads the files that have changed and stand still.
    fn look(&mut self) {
        let mut whole = BTreeSet::new();
        for (folder, watch) in &mut self.watches {
            watch.renew();
            let closed = watch.take_whole();
            let is_whole = |file: &Path| folder_of(file) == *folder && closed.contains(&file_name(file));
            let names = self.slots.iter().map(Slot::config).filter(|config| is_whole(&config.file));
            whole.extend(names.map(|config| config.name.clone()));
        }
        let listing: Listing = self
            .slots
            .iter()
            .filter_map(|slot| Some((slot.config().name.clone(), stamp_of(&slot.config().file)?)))
            .collect();
        self.settling.observe(&listing, &whole, Instant::now(), SystemTime::now());
        let mut changed = false;
        for slot in &mut self.slots {
            let name = slot.config().name.clone();
            let settled = self.settling.settled().get(&name).copied();
            if self.settling.is_moving(&name) || !slot.is_news(settled) {
                continue;
            }
            match slot.load(settled, &self.metrics) {
                Some(news) => changed |= news,
                // It is read again when it stands still.
                None => self.settling.unsettle(&name, Instant::now()),
            }
        }
        if changed {
            self.publish();
        }
    }

    fn publish(&self) {
        let entry = |slot: &Slot| (Arc::from(slot.config().name.as_str()), slot.entry());
        self.published.publish(self.slots.iter().map(entry).collect());
        self.status.store(Arc::new(self.slots.iter().map(Slot::status).collect()));
    }
}

fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn file_name(file: &Path) -> String {
    file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// What the file is, links followed; `None` if it is not there.
fn stamp_of(file: &Path) -> Option<Stamp> {
    let meta = std::fs::metadata(file).ok()?;
    Stamp::of(&meta).ok()
}

#[cfg(test)]
mod tests;
