//! When requests are due, to some ten microseconds: the runtime's own timers are told to a millisecond, which is more than a request takes.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::mpsc::{Receiver, channel};

/// Says when each request is due, as it becomes due: one each `gap`, for `time`. A thread of its own sleeps, on the cores of the caller.
pub fn start(gap: Duration, time: Duration) -> Result<Receiver<Instant>> {
    // Room for all: who is late must not make the next ones late.
    let requests = time.as_nanos() / gap.as_nanos().max(1) + 2;
    let (sender, due) = channel(usize::try_from(requests)?);
    let started = Instant::now() + Duration::from_millis(50);
    let pace = move || {
        for number in 0.. {
            let due = started + gap * number;
            if due > started + time {
                return;
            }
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if sender.blocking_send(due).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("pace".into()).spawn(pace)?;
    Ok(due)
}
