//! Handing an instance's own memory to the version that replaces it, where both can: saved by the old one, restored by a fresh one before its
//! first call. Whatever goes wrong, the new version starts fresh, and says so.
//!
//! Invariant: an instance that has saved is not called again, so that nothing it would still learn is lost unnoticed.

use std::sync::Arc;

use super::program::{Fault, Instance};
use super::stage::Stage;

/// An instance of `to` that knows what `old`, one of `from`, has known; `None` where there is nothing to know.
pub(super) fn hand_over(from: &Stage, mut old: Box<dyn Instance>, to: &Stage) -> Option<Box<dyn Instance>> {
    if !can(from, to) {
        return None;
    }
    let handed = handed(from, &mut *old, to);
    let (plugin, version, old_version) = (&to.spec().name, &to.spec().version, &from.spec().version);
    match handed {
        Ok((instance, bytes)) => {
            tracing::info!(%plugin, %version, from = %old_version, bytes, "an instance's memory was handed over");
            Some(instance)
        }
        Err((step, fault)) => {
            tracing::warn!(%plugin, %version, from = %old_version, step, %fault, "nothing was handed over: the instance starts fresh");
            None
        }
    }
}

fn can(from: &Stage, to: &Stage) -> bool {
    from.spec().name == to.spec().name && from.spec().program.hands_over() && to.spec().program.hands_over()
}

type Handed = Result<(Box<dyn Instance>, usize), (&'static str, Fault)>;

fn handed(from: &Stage, old: &mut dyn Instance, to: &Stage) -> Handed {
    let at = |step| move |fault| (step, fault);
    let saved = old.save(from.spec().deadline).map_err(at("save"))?;
    let bytes = saved.len();
    let mut instance = to.spec().program.instantiate().map_err(at("instantiate"))?;
    instance.restore(&from.spec().version, saved, to.spec().deadline).map_err(at("restore"))?;
    Ok((instance, bytes))
}

/// The same for the instances that mills share, shard by shard. Batches that are still on `from` begin with fresh ones.
pub(super) fn hand_over_shared(from: &Arc<Stage>, to: &Arc<Stage>) {
    if !can(from, to) || from.shards() != to.shards() {
        return;
    }
    for shard in 0..to.shards() {
        // Invariant: one instance lock at a time.
        let Some(old) = from.lock(shard).take() else { continue };
        let made = hand_over(from, old, to);
        *to.lock(shard) = made;
    }
}
