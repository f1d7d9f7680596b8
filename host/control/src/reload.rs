//! The same file, reloaded in place when it changes or when it is asked for. A file that is wrong changes nothing but the status.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use crate::config::{self, Config};
use crate::plugins::status::now;
use crate::watch::Watch;

/// How long the file must stand still.
const QUIET: Duration = Duration::from_millis(100);

/// What is to be said about the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The file, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// When what runs was read, in seconds since the Unix epoch.
    pub loaded_at: u64,
    /// Why the newest file is not what runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Keys whose new value takes effect with a restart only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs_restart: Vec<String>,
}

/// Puts a checked configuration into effect, all of it or nothing; the error is for people.
pub type Apply = Box<dyn FnMut(&Config) -> Result<(), String> + Send>;

/// Follows the file; ends when it is dropped.
pub struct Reload {
    events: SyncSender<Event>,
    thread: Option<JoinHandle<()>>,
}

enum Event {
    Hint,
    Now,
    Stop,
}

impl Reload {
    /// Follows `file`, of which `running` was read.
    pub fn start(file: &Path, running: Config, status: Arc<ArcSwap<Status>>, apply: Apply) -> io::Result<Self> {
        let (events, waiting) = sync_channel(16);
        let hints = events.clone();
        let hint = move || {
            // One hint that waits is as good as many.
            let _full = hints.try_send(Event::Hint);
        };
        let file = config::absolute(file);
        let folder = file.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned);
        let seen = stamp(&file);
        let follower = Follower { watch: Watch::new(folder, hint), seen, file, started_with: running, status, apply };
        let thread = std::thread::Builder::new().name("config".into()).spawn(move || follower.run(&waiting))?;
        Ok(Self { events, thread: Some(thread) })
    }

    /// Reads the file anew, whether or not it has changed.
    pub fn now(&self) {
        let _ended = self.events.try_send(Event::Now);
    }
}

impl Drop for Reload {
    fn drop(&mut self) {
        let _ended = self.events.send(Event::Stop);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

type Stamp = Option<(u64, SystemTime)>;

struct Follower {
    file: PathBuf,
    watch: Watch,
    /// The file as it was read last.
    seen: Stamp,
    /// What cannot change while running is as it was here.
    started_with: Config,
    status: Arc<ArcSwap<Status>>,
    apply: Apply,
}

impl Follower {
    fn run(mut self, waiting: &Receiver<Event>) {
        // A change that has not stood still yet: what the file looked like, and since when.
        let mut moving: Option<(Stamp, Instant)> = None;
        loop {
            self.watch.renew();
            let patience = if moving.is_some() { QUIET / 4 } else { self.watch.patience() };
            match waiting.recv_timeout(patience) {
                Ok(Event::Hint) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Event::Now) => self.load(),
                Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
            let stamp = stamp(&self.file);
            moving = match moving {
                _ if stamp == self.seen => None,
                Some((known, since)) if known == stamp && since.elapsed() >= QUIET => {
                    self.load();
                    None
                }
                Some((known, since)) if known == stamp => Some((known, since)),
                _ => Some((stamp, Instant::now())),
            };
        }
    }

    fn load(&mut self) {
        self.seen = stamp(&self.file);
        let outcome = config::load(Some(&self.file)).map_err(|report| report.to_string()).and_then(|config| {
            (self.apply)(&config)?;
            Ok(config)
        });
        let mut status = Status::clone(&self.status.load());
        match outcome {
            Ok(config) => {
                let needs: Vec<&str> = config::needs_restart(&self.started_with, &config);
                if needs.is_empty() {
                    tracing::info!(file = %self.file.display(), "configuration reloaded");
                } else {
                    tracing::warn!(file = %self.file.display(), needs_restart = needs.join(", "), "configuration reloaded, some of it takes effect with a restart only");
                }
                status.needs_restart = needs.into_iter().map(str::to_owned).collect();
                (status.error, status.loaded_at) = (None, now());
            }
            Err(error) => {
                tracing::error!(file = %self.file.display(), "configuration not reloaded, the old one stays:\n{error}");
                status.error = Some(error);
            }
        }
        self.status.store(Arc::new(status));
    }
}

fn stamp(file: &Path) -> Stamp {
    let meta = std::fs::metadata(file).ok()?;
    Some((meta.len(), meta.modified().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait::until;

    const SOON: Duration = Duration::from_secs(20);

    fn status_that(status: &ArcSwap<Status>, wanted: impl Fn(&Status) -> bool) -> Arc<Status> {
        until(|| {
            let now = status.load_full();
            if wanted(&now) { Ok(now) } else { Err(format!("{now:?}")) }
        })
    }

    #[test]
    fn a_changed_file_is_applied_and_a_wrong_one_changes_nothing_but_the_status() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tracemill.yaml");
        std::fs::write(&file, "shutdown: { timeout: 1s }\n").unwrap();
        let running = config::load(Some(&file)).unwrap();
        let status = Arc::new(ArcSwap::from_pointee(Status::default()));
        let (applied, seen) = sync_channel(10);
        let apply: Apply = Box::new(move |config| {
            applied.send(config.shutdown_timeout).unwrap();
            Ok(())
        });
        let reload = Reload::start(&file, running, status.clone(), apply).unwrap();

        std::fs::write(&file, "shutdown: { timeout: 22s }\nadmin: { listen: 127.0.0.1:1 }\n").unwrap();
        assert_eq!(seen.recv_timeout(SOON).unwrap(), Duration::from_secs(22));
        let told = status_that(&status, |status| !status.needs_restart.is_empty());
        assert_eq!(told.needs_restart, ["admin.listen"]);

        std::fs::write(&file, "shutdwn: { timeout: 333s }\n").unwrap();
        let told = status_that(&status, |status| status.error.is_some());
        assert!(
            told.error.as_ref().unwrap().contains(":1:1: shutdwn: unknown key, did you mean shutdown?"),
            "{told:?}"
        );
        assert!(seen.try_recv().is_err());

        std::fs::write(&file, "shutdown: { timeout: 44m }\n").unwrap();
        assert!(seen.recv_timeout(SOON).is_ok());
        status_that(&status, |status| status.error.is_none() && status.needs_restart.is_empty());

        reload.now();
        assert!(seen.recv_timeout(SOON).is_ok());
    }
}
