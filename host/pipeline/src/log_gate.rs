//! Keeps log lines of one kind apart, so that neither a failing back end nor an attacker fills the log.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How far apart they are.
pub(crate) const APART: Duration = Duration::from_secs(10);

/// Opens at most once in ten seconds.
#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<(Option<Instant>, u64)>);

impl Gate {
    /// Whether to log now: then, how many lines were left out since the last.
    pub fn open(&self) -> Option<u64> {
        let mut state = self.0.lock();
        if state.0.is_some_and(|last| last.elapsed() < APART) {
            state.1 += 1;
            return None;
        }
        state.0 = Some(Instant::now());
        Some(std::mem::take(&mut state.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lines_are_kept_apart_and_counted() {
        let gate = Gate::default();
        assert_eq!(gate.open(), Some(0));
        assert_eq!(gate.open(), None);
        assert_eq!(gate.open(), None);
        tokio::time::advance(APART).await;
        assert_eq!(gate.open(), Some(2));
    }
}
