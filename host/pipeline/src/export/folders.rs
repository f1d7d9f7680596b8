//! Which folder belongs to which destination: each to one, and to the same for as long as the process runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::StartError;
use super::config::DestinationConfig;
use super::destination::Destination;
use super::metrics::Metrics;
use super::queue::Spool;
use super::store::Store;

/// Two destinations that name one folder.
pub(super) fn shared(configs: &[DestinationConfig]) -> Option<(String, String)> {
    let folders: Vec<(&str, PathBuf)> =
        configs.iter().filter_map(|config| Some((config.name.as_str(), real(config.queue.mode.folder()?)))).collect();
    let twice = |(i, (_, folder)): (usize, &(&str, PathBuf))| {
        let first = folders[..i].iter().find(|(_, known)| known == folder)?;
        Some((first.0.to_owned(), folders[i].0.to_owned()))
    };
    folders.iter().enumerate().find_map(twice)
}

/// The records of a destination's folder, if it has one: those of the destination that it takes the place of, or what is in the folder. Then they
/// are new.
pub(super) fn spool(
    config: &DestinationConfig,
    known: Option<&Destination>,
    metrics: &Metrics,
) -> Result<(Option<Arc<Spool>>, bool), StartError> {
    let folder = config.queue.mode.folder();
    // Of several queues of one destination, each has a folder within the destination's.
    let before = known.and_then(|known| Some((known.queue().disk()?, known.config().queue.mode.folder()?)));
    match (before, folder) {
        (None, None) => Ok((None, false)),
        (Some((disk, before)), Some(now)) if real(before) == real(now) => Ok((Some(Arc::clone(disk.spool())), false)),
        (Some(_), _) => Err(StartError::FolderChanged(config.name.clone())),
        (None, Some(folder)) => {
            let opened = Store::open(folder, config.queue.max_bytes, metrics.of_disk(&config.name, config.signal()));
            let (store, backlog) = opened.map_err(|error| StartError::Store { name: config.name.clone(), error })?;
            Ok((Some(Spool::new(store, &backlog)), true))
        }
    }
}

/// The folder, by whatever name, also if it is not there yet.
fn real(folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    std::fs::canonicalize(&absolute).unwrap_or_else(|_| absolute.components().collect())
}
