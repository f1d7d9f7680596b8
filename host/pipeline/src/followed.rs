//! Files that are replaced while what was read of them is in use: looked at every second. A change is taken once two looks have seen
//! the same, as files are written one by one.

use std::time::Duration;

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What files held, or why they could not be read.
type Look<T> = Result<T, String>;

/// What was seen of files.
#[derive(Debug)]
pub(crate) struct Seen<T> {
    /// What was acted upon last.
    settled: Look<T>,
    /// What the last look saw.
    latest: Look<T>,
}

impl<T: Clone + PartialEq> Seen<T> {
    /// What is in use.
    pub fn of(read: T) -> Self {
        Self { settled: Ok(read.clone()), latest: Ok(read) }
    }

    /// Whether this is what was acted upon last.
    pub fn is_settled(&self, read: &T) -> bool {
        self.settled.as_ref() == Ok(read)
    }

    /// Takes another look. What is new and stands still is to be acted upon, once.
    pub fn news(&mut self, look: Look<T>) -> Option<&Look<T>> {
        let stands_still = look == self.latest;
        self.latest = look;
        if !stands_still || self.latest == self.settled {
            return None;
        }
        self.settled = self.latest.clone();
        Some(&self.settled)
    }
}

/// Looks for as long as the look says that somebody cares. Files may be on a network that does not answer: nobody else waits for it.
pub(crate) async fn follow(look: impl Fn() -> bool + Clone + Send + 'static) {
    loop {
        tokio::time::sleep(LOOK).await;
        match tokio::task::spawn_blocking(look.clone()).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => tracing::error!(%error, "looking at files that may change has failed"),
        }
    }
}
