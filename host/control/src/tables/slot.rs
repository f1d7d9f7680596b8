//! One table as it is followed: what was read last, what is asked, and what is wrong.

use std::sync::Arc;
use std::time::Instant;

use wasm::tables::Entry;

use super::metrics::Metrics;
use super::read::{self, Loaded, ReadError};
use super::stamp_of;
use super::status::Status;
use crate::config::tables::TableConfig;
use crate::plugins::settle::Stamp;
use crate::plugins::status::now;

/// A table.
#[derive(Debug)]
pub(super) struct Slot {
    config: TableConfig,
    acted: Acted,
    /// What is asked: the last that could be read.
    good: Option<(Loaded, u64)>,
    error: Option<ReadError>,
}

/// What was acted upon last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Acted {
    /// Nothing yet, or what calls for another try.
    OnNothing,
    /// The file as it was then; none where it was not there.
    On(Option<Stamp>),
}

impl Slot {
    pub fn new(config: TableConfig) -> Self {
        Self { config, acted: Acted::OnNothing, good: None, error: None }
    }

    pub fn config(&self) -> &TableConfig {
        &self.config
    }

    /// Takes other settings, if they are others: the file is read anew, and what is asked stays until that is done.
    pub fn configure(&mut self, config: TableConfig) {
        if config != self.config {
            (self.config, self.acted) = (config, Acted::OnNothing);
        }
    }

    /// Whether this is another file than the one that was acted upon last.
    pub fn is_news(&self, stamp: Option<Stamp>) -> bool {
        self.acted != Acted::On(stamp)
    }

    /// Reads the file, which is as `stamp` says. Answers whether that changed anything; `None` if it was written meanwhile.
    pub fn load(&mut self, stamp: Option<Stamp>, metrics: &Metrics) -> Option<bool> {
        let began = Instant::now();
        let TableConfig { name, file, .. } = &self.config;
        let read = read::read(&self.config);
        if stamp_of(file) != stamp {
            return None;
        }
        let error = match read {
            Ok(loaded) => {
                let (at, took_ms) = (now(), began.elapsed().as_millis() as u64);
                let Loaded { entries, bytes, .. } = loaded;
                tracing::info!(table = %name, file = %file.display(), entries, bytes, took_ms, "lookup table is live");
                metrics.loaded(name, entries, bytes, at);
                (self.good, self.error, self.acted) = (Some((loaded, at)), None, Acted::On(stamp));
                return Some(true);
            }
            Err(error) => error,
        };
        // What could not be read is tried again with each look, and said once.
        let is_unreadable = matches!(error, ReadError::Unreadable(_));
        self.acted = if is_unreadable { Acted::OnNothing } else { Acted::On(stamp) };
        if is_unreadable && self.error.as_ref() == Some(&error) {
            return Some(false);
        }
        let stays = if self.good.is_some() { "; the last good one stays" } else { "" };
        tracing::error!(table = %name, file = %file.display(), %error, "lookup table cannot be used{stays}");
        metrics.failed(name);
        self.error = Some(error);
        Some(true)
    }

    /// What plugins find under its name.
    pub fn entry(&self) -> Entry {
        match (&self.good, &self.error) {
            (Some((loaded, _)), _) => Entry::Ready(Arc::clone(&loaded.table)),
            (None, error) => {
                let why = error.as_ref().map_or_else(|| "it is being read".to_owned(), ToString::to_string);
                Entry::Broken(why.into())
            }
        }
    }

    pub fn status(&self) -> Status {
        let TableConfig { name, file, format, .. } = &self.config;
        let good = self.good.as_ref();
        Status {
            table: name.clone(),
            file: file.display().to_string(),
            format: format.name().to_owned(),
            ready: good.is_some(),
            entries: good.map_or(0, |(loaded, _)| loaded.entries),
            bytes: good.map_or(0, |(loaded, _)| loaded.bytes),
            loaded_at: good.map(|(_, at)| *at),
            error: self.error.as_ref().map(ToString::to_string),
        }
    }
}
