//! The versions of all plugins since the start, and what became of them: bounded, the newest last. What runs or is tried is never forgotten.

use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

use super::plan::Recipe;
use super::version::{Phase, Version};

/// How many versions are remembered, beside those that still run.
const REMEMBERED: usize = 200;

/// The history.
#[derive(Debug, Default)]
pub struct History {
    versions: VecDeque<Version>,
    last: u64,
}

impl History {
    /// A version was noticed. Answers its number; the last one that failed with the same content goes on under its own.
    pub fn noticed(&mut self, stage: &str, file: String, recipe: &Recipe) -> u64 {
        let (sha256, sidecar) = (recipe.plugin.whole(), recipe.sidecar.map(|sidecar| sidecar.short()));
        let again =
            self.versions.iter_mut().rev().find(|version| version.stage == stage).filter(|version| {
                version.phase == Phase::Failed && version.sha256 == sha256 && version.sidecar == sidecar
            });
        if let Some(version) = again
            && version.enter(Phase::Noticed, now())
        {
            return version.number;
        }
        self.last += 1;
        self.versions.push_back(Version {
            number: self.last,
            stage: stage.to_owned(),
            file,
            sha256,
            plugin_version: None,
            sidecar,
            phase: Phase::Noticed,
            since_ms: now(),
            noticed_ms: now(),
            live_ms: None,
            generation: None,
            replaced: None,
            why: None,
        });
        self.trim();
        self.last
    }

    /// A version is in another phase.
    pub fn enter(&mut self, number: u64, phase: Phase) {
        self.change(number, |version| {
            if !version.enter(phase, now()) {
                // A bug of ours that costs no span: the history is for people.
                tracing::error!(?version, to = phase.name(), "a plugin's version cannot go there");
            }
        });
    }

    /// Notes something of a version.
    pub fn change(&mut self, number: u64, change: impl FnOnce(&mut Version)) {
        // The newest are asked for most.
        if let Some(version) = self.versions.iter_mut().rev().find(|version| version.number == number) {
            change(version);
        }
    }

    /// One version.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&Version> {
        self.versions.iter().rev().find(|version| version.number == number)
    }

    /// All that are remembered, the newest first.
    #[must_use]
    pub fn newest_first(&self) -> Vec<Version> {
        self.versions.iter().rev().cloned().collect()
    }

    fn trim(&mut self) {
        let mut surplus = self.versions.len().saturating_sub(REMEMBERED);
        self.versions.retain(|version| {
            let is_over = surplus > 0 && matches!(version.phase, Phase::Retired | Phase::Failed);
            surplus -= usize::from(is_over);
            !is_over
        });
    }
}

/// Milliseconds since the Unix epoch.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::digest::Digest;

    fn recipe(content: &str) -> Recipe {
        Recipe { plugin: Digest::of(content.as_bytes()), sidecar: None, signature: None, defaults: 0 }
    }

    fn live(history: &mut History, number: u64) {
        for phase in [Phase::Checking, Phase::Compiling, Phase::Probing, Phase::Live] {
            history.enter(number, phase);
        }
    }

    #[test]
    fn what_is_over_is_forgotten_and_what_runs_is_not() {
        let mut history = History::default();
        let first = history.noticed("a", "10-a.wasm".into(), &recipe("first"));
        live(&mut history, first);
        for n in 0..3 * REMEMBERED {
            let number = history.noticed("b", "20-b.wasm".into(), &recipe(&n.to_string()));
            history.enter(number, Phase::Retired);
        }
        let newest = history.newest_first();
        assert_eq!(newest.len(), REMEMBERED);
        assert_eq!(newest[0].number, 3 * REMEMBERED as u64 + 1);
        assert_eq!(newest.last().map(|version| (version.number, version.phase)), Some((first, Phase::Live)));
    }

    #[test]
    fn the_same_content_that_failed_is_one_version() {
        let mut history = History::default();
        let first = history.noticed("a", "10-a.wasm".into(), &recipe("x"));
        history.enter(first, Phase::Failed);
        assert_eq!(history.noticed("a", "10-a.wasm".into(), &recipe("x")), first);
        assert_eq!(history.get(first).unwrap().phase, Phase::Noticed);
        history.enter(first, Phase::Failed);
        assert_ne!(history.noticed("a", "10-a.wasm".into(), &recipe("y")), first);
        assert_ne!(history.noticed("b", "20-b.wasm".into(), &recipe("x")), first);
    }

    #[test]
    fn a_way_that_does_not_exist_is_not_taken() {
        let mut history = History::default();
        let number = history.noticed("a", "10-a.wasm".into(), &recipe("x"));
        history.enter(number, Phase::Draining);
        assert_eq!(history.get(number).unwrap().phase, Phase::Noticed);
    }
}
