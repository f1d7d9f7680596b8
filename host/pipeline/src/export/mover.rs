//! What works on a queue whose endpoint has gone, or is not known yet: hands what waits there to the queues of the others, by trace.
//!
//! What is handed on fits nobody's bound: it was admitted long ago, and those who took it have it counted here. So a full or dead
//! endpoint does not keep what belongs to others.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use super::circle::Heirs;
use super::queue::{Batch, Queue};

/// When a disk is tried again that did not take something.
const AGAIN: Duration = Duration::from_secs(1);

/// Moves what comes until the queue is closed and empty. Not to be stopped midway: it ends soon after the queue has closed.
pub(super) async fn run(queue: Arc<Queue>, heirs: Arc<Heirs>) {
    while let Some(batch) = queue.next().await {
        pass_on(&queue, &heirs, batch).await;
    }
}

async fn pass_on(queue: &Arc<Queue>, heirs: &Heirs, mut batch: Batch) {
    loop {
        // Asked for before looking, so that nothing is told in between.
        let mut news = pin!(heirs.news().notified());
        news.as_mut().enable();
        if queue.is_replaced() {
            return batch.hand_over();
        }
        let circle = heirs.current();
        let is_ending = queue.closing().is_cancelled();
        if is_ending && (batch.is_on_disk() || circle.is_empty()) {
            // The next start has more time for what is on disk. What is not has nowhere to go.
            queue.leave();
            return;
        }
        if circle.is_empty() {
            tokio::select! {
                () = news => {}
                () = queue.closing().cancelled() => {}
            }
            continue;
        }
        let Some(left) = batch.pass_on(&circle).await else { return };
        if is_ending {
            return;
        }
        batch = left;
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = queue.closing().cancelled() => {}
        }
    }
}
