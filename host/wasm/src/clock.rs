//! The clock that deadlines are told by: a thread that ticks while guests run, and rests while none does, so that a proxy with little to do
//! wakes for spans alone.
//!
//! Invariant: as long as somebody is in [`Clock::during`] it ticks, [`TICK`] apart or sooner.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

/// How far apart ticks are: what a deadline can be told to.
pub(crate) const TICK: Duration = Duration::from_millis(5);

/// The clock, for whoever runs guests. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    state: Arc<State>,
    thread: Thread,
}

/// Its thread, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Ticker {
    clock: Clock,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    /// How many guests run.
    running: AtomicUsize,
    /// Whether the thread has to be woken for one.
    rests: AtomicBool,
    stops: AtomicBool,
}

/// One that runs.
struct Running<'c>(&'c State);

impl Clock {
    /// Runs a guest.
    pub(crate) fn during<T>(&self, guest: impl FnOnce() -> T) -> T {
        self.state.running.fetch_add(1, Ordering::SeqCst);
        let _running = Running(&self.state);
        if self.state.rests.load(Ordering::SeqCst) && self.state.rests.swap(false, Ordering::SeqCst) {
            self.thread.unpark();
        }
        guest()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Ticker {
    /// `tick` says whether there is still somebody to tick for.
    pub(crate) fn start(tick: impl FnMut() -> bool + Send + 'static) -> std::io::Result<Self> {
        let state = Arc::new(State::default());
        let thread = std::thread::Builder::new().name("wasm-clock".to_owned()).spawn({
            let state = Arc::clone(&state);
            move || state.work(tick)
        })?;
        let clock = Clock { state, thread: thread.thread().clone() };
        Ok(Self { clock, thread: Some(thread) })
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }
}

impl State {
    fn work(&self, mut tick: impl FnMut() -> bool) {
        while !self.stops.load(Ordering::SeqCst) {
            if self.is_idle() {
                self.rests.store(true, Ordering::SeqCst);
                // Whoever begins from here on sees that it rests; who began before is seen here.
                if self.is_idle() {
                    std::thread::park();
                }
                self.rests.store(false, Ordering::SeqCst);
                continue;
            }
            std::thread::park_timeout(TICK);
            if !tick() {
                return;
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.running.load(Ordering::SeqCst) == 0 && !self.stops.load(Ordering::SeqCst)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.clock.state.stops.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It only counts; a panic in it would already have been reported.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::time::Instant;

    use super::*;

    fn wait(what: &str, is_so: impl Fn() -> bool) {
        let until = Instant::now() + Duration::from_secs(30);
        while !is_so() {
            assert!(Instant::now() < until, "{what}");
            std::thread::yield_now();
        }
    }

    /// One whose ticks are counted.
    fn counting() -> (Ticker, Arc<AtomicU64>) {
        let ticks = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&ticks);
        let ticker = Ticker::start(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            true
        });
        (ticker.expect("a thread"), ticks)
    }

    #[test]
    fn it_ticks_while_guests_run_and_rests_while_none_does() {
        let (ticker, ticks) = counting();
        let clock = ticker.clock().clone();
        let count = || ticks.load(Ordering::SeqCst);
        wait("nothing runs yet", || clock.state.rests.load(Ordering::SeqCst));
        assert_eq!(count(), 0);
        for _ in 0..3 {
            let before = count();
            clock.during(|| {
                // Of two it goes on for the other.
                clock.during(|| wait("the first ticks", || count() > before));
                wait("more ticks", || count() > before + 3);
            });
            wait("nothing runs any more", || clock.state.rests.load(Ordering::SeqCst));
        }
        drop(ticker);
    }

    #[test]
    fn short_runs_from_many_threads_never_leave_one_without_ticks() {
        let (ticker, ticks) = counting();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let (clock, ticks) = (ticker.clock(), &ticks);
                scope.spawn(move || {
                    for round in 0..2000 {
                        clock.during(|| {
                            if round % 100 == 0 {
                                let before = ticks.load(Ordering::SeqCst);
                                wait("a tick", || ticks.load(Ordering::SeqCst) > before);
                            }
                        });
                    }
                });
            }
        });
    }
}
