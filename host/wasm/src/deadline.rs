//! Deadlines: how long a call may run, told by the thread's CPU time, so that a busy machine is not taken for an endless loop.
//!
//! A call that ends before the clock's next tick costs nothing but a store of the epoch. At its first tick the thread's CPU
//! time is read, and again when the deadline passes; what the call has not had of it, it still gets, up to a bound in real
//! time.

use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use wasmtime::UpdateDeadline;

use crate::clock::TICK;

/// How many deadlines may pass on the wall before a call ends that did not get the CPU time.
const PATIENCE: u32 = 10;

/// The deadline of the call that runs.
#[derive(Debug, Default)]
pub(crate) struct Deadline {
    limit: Duration,
    /// Since when it is watched: at most one tick after it began.
    since: Option<Moment>,
    missed: Option<Missed>,
}

#[derive(Debug, Clone, Copy)]
struct Moment {
    wall: Instant,
    cpu: Duration,
}

/// A deadline that was missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it was stopped after {} ms of CPU time ({} ms went by); its deadline is {} ms", cpu.as_millis(), wall.as_millis(), limit.as_millis())]
pub(crate) struct Missed {
    limit: Duration,
    cpu: Duration,
    wall: Duration,
}

impl Deadline {
    /// A call begins. The store's epoch deadline must be set to one tick from now.
    pub(crate) fn begin(&mut self, limit: Duration) {
        *self = Self { limit, since: None, missed: None };
    }

    /// Whether, and how, the last call missed it.
    pub(crate) fn missed(&self) -> Option<Missed> {
        self.missed
    }

    /// The store's epoch deadline has passed.
    pub(crate) fn passed(&mut self) -> wasmtime::Result<UpdateDeadline> {
        let now = Moment { wall: Instant::now(), cpu: thread_cpu() };
        match self.judge(now) {
            Ok(more) => Ok(UpdateDeadline::Continue(ticks(more))),
            Err(missed) => {
                self.missed = Some(missed);
                Err(wasmtime::Error::new(missed))
            }
        }
    }

    /// How much longer it may run.
    fn judge(&mut self, now: Moment) -> Result<Duration, Missed> {
        let Some(since) = self.since else {
            self.since = Some(now);
            return Ok(self.limit);
        };
        let (cpu, wall) = (now.cpu.saturating_sub(since.cpu), now.wall.saturating_duration_since(since.wall));
        let patience = self.limit * PATIENCE;
        // What is less than a tick cannot be told.
        if cpu + TICK > self.limit || wall >= patience {
            return Err(Missed { limit: self.limit, cpu, wall });
        }
        Ok(self.limit.saturating_sub(cpu).min(patience.saturating_sub(wall)))
    }
}

fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX / 2).max(1)
}

fn thread_cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, wall: u64, cpu: u64) -> Moment {
        Moment { wall: start + Duration::from_millis(wall), cpu: Duration::from_millis(cpu) }
    }

    #[test]
    fn a_busy_machine_extends_the_deadline_and_an_endless_loop_does_not() {
        let start = Instant::now();
        let mut deadline = Deadline::default();
        deadline.begin(Duration::from_millis(50));
        assert_eq!(deadline.judge(at(start, 0, 100)), Ok(Duration::from_millis(50)));
        assert_eq!(deadline.judge(at(start, 50, 110)), Ok(Duration::from_millis(40)), "10 of 50 ms were used");
        assert_eq!(deadline.judge(at(start, 90, 149)).map_err(|missed| missed.cpu), Err(Duration::from_millis(49)));
    }

    #[test]
    fn patience_ends_where_no_cpu_time_comes() {
        let start = Instant::now();
        let mut deadline = Deadline::default();
        deadline.begin(Duration::from_millis(50));
        assert!(deadline.judge(at(start, 0, 0)).is_ok());
        assert_eq!(deadline.judge(at(start, 480, 1)), Ok(Duration::from_millis(20)), "not beyond the bound");
        let missed = deadline.judge(at(start, 500, 1)).expect_err("ten deadlines have passed");
        assert_eq!(missed.to_string(), "it was stopped after 1 ms of CPU time (500 ms went by); its deadline is 50 ms");
    }

    #[test]
    fn a_deadline_shorter_than_a_tick_lasts_one() {
        assert_eq!(ticks(Duration::from_micros(1)), 1);
        assert_eq!(ticks(TICK * 2 + Duration::from_millis(1)), 3);
    }
}
