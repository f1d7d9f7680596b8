//! Spans on which plugins failed, set aside for whoever wants to know why: few, the newest, in memory alone. What becomes of the span
//! itself, `on_error` says; here is a copy of it as the plugin was shown it, whole enough to be sent through the plugin again.
//!
//! A copy may hold personal data that a later plugin would have hidden: only the admin side shows it, and `plugins.quarantine.spans: 0`
//! keeps none.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use otlp::batch::Batch;
use otlp::encode;
use parking_lot::Mutex;

use super::program::{Fault, FaultKind};
use super::stage::StageSpec;

/// Copies cost more than a call: so many at once, and then one each [`APART`].
const AT_ONCE: u32 = 10;
const APART: Duration = Duration::from_millis(100);

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Spans; 0 keeps none.
    pub spans: usize,
    /// Bytes of all of them.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { spans: 100, bytes: 1 << 20 }
    }
}

/// One span, and who failed on it how.
#[derive(Debug, Clone)]
pub struct SetAside {
    /// Counts up with each that is set aside.
    pub number: u64,
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
    /// Which plugin.
    pub plugin: Arc<str>,
    /// Which version of it: the beginning of its content's SHA-256.
    pub version: Arc<str>,
    /// How it failed.
    pub kind: FaultKind,
    /// What it or the engine said.
    pub why: String,
    /// The span with its resource and scope, as an `ExportTraceServiceRequest`.
    pub request: Bytes,
}

/// What is set aside, of all plugins together.
#[derive(Debug, Default)]
pub struct Quarantine {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    limits: Limits,
    /// The newest at the end.
    kept: VecDeque<SetAside>,
    bytes: usize,
    next: u64,
    /// How many of [`AT_ONCE`] are used up, as of when.
    used: u32,
    since: Option<Instant>,
}

impl Quarantine {
    /// Sets other limits, and lets go of what is beyond them.
    pub fn limit(&self, limits: Limits) {
        let mut inner = self.inner.lock();
        inner.limits = limits;
        inner.trim();
    }

    /// All that is kept, the newest first.
    #[must_use]
    pub fn all(&self) -> Vec<SetAside> {
        self.inner.lock().kept.iter().rev().cloned().collect()
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<SetAside> {
        self.inner.lock().kept.iter().find(|one| one.number == number).cloned()
    }

    /// Sets a row aside, if that is not too much to ask now.
    pub(super) fn keep(&self, batch: &Batch, row: u32, spec: &StageSpec, fault: &Fault) {
        if !self.inner.lock().may(Instant::now()) {
            return;
        }
        // Not under the lock: it takes about as long as reading and writing the whole batch does.
        let Some(request) = encode::alone(batch, row) else { return };
        self.inner.lock().set_aside(request, &spec.name, &spec.version, fault);
    }
}

impl Inner {
    fn set_aside(&mut self, request: Bytes, plugin: &Arc<str>, version: &Arc<str>, fault: &Fault) {
        if request.len() > self.limits.bytes {
            tracing::warn!(%plugin, bytes = request.len(), "a span on which a plugin fails is too large for the quarantine");
            return; // Rather than let go of all others for it.
        }
        let (number, at) = (self.next, SystemTime::now().duration_since(UNIX_EPOCH));
        self.next += 1;
        self.bytes += request.len();
        self.kept.push_back(SetAside {
            number,
            at: at.map_or(0, |at| at.as_millis() as u64),
            plugin: Arc::clone(plugin),
            version: Arc::clone(version),
            kind: fault.kind,
            why: fault.message.clone(),
            request,
        });
        self.trim();
    }

    fn may(&mut self, now: Instant) -> bool {
        if self.limits.spans == 0 {
            return false;
        }
        let since = *self.since.get_or_insert(now);
        let regained = (now.saturating_duration_since(since).as_millis() / APART.as_millis()) as u32;
        if regained > 0 {
            self.used = self.used.saturating_sub(regained);
            self.since = Some(now);
        }
        let may = self.used < AT_ONCE;
        self.used += u32::from(may);
        may
    }

    fn trim(&mut self) {
        while self.kept.len() > self.limits.spans || self.bytes > self.limits.bytes {
            let Some(oldest) = self.kept.pop_front() else { return };
            self.bytes -= oldest.request.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_aside(inner: &mut Inner, bytes: usize) {
        let fault = Fault { kind: FaultKind::Trap, message: String::new() };
        inner.set_aside(vec![0; bytes].into(), &"p".into(), &"v".into(), &fault);
    }

    #[test]
    fn the_newest_are_kept_within_both_bounds() {
        let quarantine = Quarantine::default();
        quarantine.limit(Limits { spans: 3, bytes: 100 });
        for _ in 0..5 {
            set_aside(&mut quarantine.inner.lock(), 10);
        }
        let numbers = || quarantine.all().iter().map(|one| one.number).collect::<Vec<_>>();
        assert_eq!(numbers(), [4, 3, 2]);
        set_aside(&mut quarantine.inner.lock(), 85);
        assert_eq!(numbers(), [5, 4]);
        assert!(quarantine.get(4).is_some() && quarantine.get(3).is_none());
        // One that is larger than all may be is not kept, and costs the others nothing.
        set_aside(&mut quarantine.inner.lock(), 101);
        assert_eq!(numbers(), [5, 4]);
        assert_eq!(quarantine.inner.lock().bytes, 95);
        quarantine.limit(Limits { spans: 0, bytes: 100 });
        assert!(!quarantine.inner.lock().may(Instant::now()));
    }

    #[test]
    fn copies_are_made_no_faster_than_is_cheap() {
        let mut inner = Inner::default();
        let start = Instant::now();
        assert_eq!((0..100).filter(|_| inner.may(start)).count(), AT_ONCE as usize);
        assert_eq!((0..100).filter(|_| inner.may(start + APART)).count(), 1);
        assert_eq!((0..100).filter(|_| inner.may(start + APART * 1000)).count(), AT_ONCE as usize);
    }
}
