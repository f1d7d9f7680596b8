//! How parcels that are on disk alone come back: to be sent, a piece at a time, or to be dropped because they are the oldest.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::super::config::OnFull;
use super::super::metrics::DropReason;
use super::super::store::Sum;
use super::disk::now;
use super::spool::{Piece, Read};
use super::{Phase, Queue, Waiting};

/// After a piece that could not be read.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// A limited drain reads so much at once that it reads about so often a second.
const STEPS: u64 = 10;

impl Queue {
    // === reading back ===

    /// Has records read while there is not a whole batch in memory. Answers when to ask again where that is not to be waited for.
    pub(super) async fn refill(self: &Arc<Self>) -> Option<Instant> {
        let disk = self.disk.as_ref()?;
        if !disk.spool.has_unread() {
            return None;
        }
        let waiting = {
            let state = self.state.lock();
            let wants = matches!(state.phase, Phase::Open) && state.bytes < self.batch.max_bytes;
            wants.then_some(state.bytes)?
        };
        if let Some(next) = *disk.next_read.lock()
            && next > Instant::now()
        {
            return Some(next);
        }
        let most = (self.batch.max_bytes * 2 - waiting).max(64 << 10);
        let most = self.config.drain_rate.map_or(most, |rate| most.min((rate / STEPS).max(1) as usize));
        let queue = Arc::clone(self);
        // What is read is handed over there: nothing is lost if nobody waits for the answer.
        let read = tokio::task::spawn_blocking(move || queue.read_back(most)).await;
        let mut next = None;
        match read {
            Ok(Ok(bytes)) => {
                if let Some(rate) = self.config.drain_rate.filter(|_| bytes > 0) {
                    next = Some(Instant::now() + Duration::from_secs_f64(bytes as f64 / rate as f64));
                }
            }
            Ok(Err(error)) => {
                next = Some(Instant::now() + READ_AGAIN);
                if let Some(unsaid) = disk.failures.open() {
                    tracing::error!(destination = %self.name, %error, unsaid, "the queue's disk cannot be read, to be tried again");
                }
            }
            Err(error) => tracing::error!(destination = %self.name, %error, "reading the queue's disk was broken off"),
        }
        *disk.next_read.lock() = next;
        next
    }

    /// Answers how many bytes were read. Waits for the disk.
    fn read_back(self: &Arc<Self>, most: usize) -> std::io::Result<usize> {
        let Some(disk) = &self.disk else { return Ok(0) };
        let mut bytes = 0;
        disk.spool.read(most, |piece| {
            bytes = piece.bytes;
            self.current().take_piece(piece);
        })?;
        Ok(bytes)
    }

    fn take_piece(&self, piece: Piece) {
        let mut state = self.state.lock();
        if let Phase::Dead(_) = state.phase {
            // Counted as left already.
            return;
        }
        self.count_lost(piece.lost);
        let drops_oldest = self.config.on_full == OnFull::DropOldest;
        for read in piece.parcels {
            let waiting = restored(read);
            let is_old = self.config.max_age.is_some_and(|most| waiting.since.elapsed() > most);
            if drops_oldest && is_old {
                self.drop_waiting(waiting, DropReason::TooOld);
            } else {
                self.push(&mut state, waiting, false);
            }
        }
    }

    fn count_lost(&self, lost: Sum) {
        self.release(lost.bytes as usize);
        self.count_dropped(lost.items, DropReason::Corrupt);
    }

    // === drop_oldest ===

    /// Where more is held than may be, or for longer, has what waits longest dropped by somebody who may wait for the disk.
    pub(super) fn trim_soon(self: &Arc<Self>) {
        let Some(disk) = &self.disk else { return };
        if !self.wants_trimming() || disk.is_trimming.swap(true, Ordering::AcqRel) {
            return;
        }
        let queue = Arc::clone(self);
        disk.runtime.spawn_blocking(move || {
            let is_within = queue.trim();
            if let Some(disk) = &queue.disk {
                disk.is_trimming.store(false, Ordering::Release);
            }
            // Somebody may have come just before that, and have gone.
            if is_within {
                queue.trim_soon();
            }
        });
    }

    fn wants_trimming(&self) -> bool {
        self.config.on_full == OnFull::DropOldest && (self.is_overdrawn() || self.is_disk_stale())
    }

    fn is_overdrawn(&self) -> bool {
        self.held.load(Ordering::Relaxed) > self.config.max_bytes
    }

    /// Drops until what is held is within its bounds; answers whether it is. What is being sent cannot be dropped.
    fn trim(self: &Arc<Self>) -> bool {
        let Some(disk) = &self.disk else { return true };
        while self.wants_trimming() {
            let oldest = {
                let mut state = self.state.lock();
                if !matches!(state.phase, Phase::Open | Phase::Closing(_)) {
                    return false;
                }
                self.expire(&mut state);
                // What is on disk and too old is dropped when it is read.
                if self.is_overdrawn() { state.pop() } else { None }
            };
            if let Some(oldest) = oldest {
                self.drop_waiting(oldest, DropReason::QueueFull);
            } else if !disk.spool.has_unread() || !self.read_back(1).is_ok_and(|bytes| bytes > 0) {
                return false;
            }
        }
        true
    }
}

/// A record that was read, as old as it is.
fn restored(read: Read) -> Waiting {
    let age = Duration::from_millis(now().saturating_sub(read.time));
    let since = Instant::now();
    Waiting { parcel: read.parcel, since: since.checked_sub(age).unwrap_or(since), ticket: Some(read.ticket) }
}
