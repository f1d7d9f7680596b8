//! Passwords: checked slowly once, and then remembered.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::secret::Digest;

/// How many wrong ones are remembered, so that a client with an old password costs little.
const WRONG: usize = 1024;
/// How many are checked at once, in all. One takes a tenth of a second of a core.
static CHECKS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(2));

/// Users, and what was found out about what was sent.
#[derive(Clone)]
pub(super) struct Passwords(Arc<State>);

struct State {
    /// bcrypt's hashes by user.
    users: HashMap<String, String>,
    checked: Mutex<Checked>,
}

#[derive(Default)]
struct Checked {
    right: HashSet<Digest>,
    wrong: HashSet<Digest>,
}

pub(super) enum Outcome {
    Right,
    Wrong,
    Busy,
}

impl Passwords {
    pub fn new(users: HashMap<String, String>) -> Self {
        Self(Arc::new(State { users, checked: Mutex::default() }))
    }

    /// Checks `user:password`, which has this digest.
    pub async fn check(&self, digest: Digest, pair: &[u8]) -> Outcome {
        {
            let checked = self.0.checked.lock();
            if checked.right.contains(&digest) {
                return Outcome::Right;
            }
            if checked.wrong.contains(&digest) {
                return Outcome::Wrong;
            }
        }
        let Ok(_turn) = CHECKS.try_acquire() else { return Outcome::Busy };
        let (state, pair) = (Arc::clone(&self.0), pair.to_vec());
        let is_right = tokio::task::spawn_blocking(move || state.is_right(&pair)).await.unwrap_or(false);
        let mut checked = self.0.checked.lock();
        if is_right {
            // One for each user, but for passwords that differ after 72 bytes, where bcrypt stops.
            if checked.right.len() > 2 * self.0.users.len() {
                checked.right.clear();
            }
            checked.right.insert(digest);
            return Outcome::Right;
        }
        if checked.wrong.len() >= WRONG {
            checked.wrong.clear();
        }
        checked.wrong.insert(digest);
        Outcome::Wrong
    }
}

#[cfg(test)]
impl Passwords {
    /// How many right and wrong ones are remembered.
    pub fn remembered(&self) -> (usize, usize) {
        let checked = self.0.checked.lock();
        (checked.right.len(), checked.wrong.len())
    }
}

impl State {
    fn is_right(&self, pair: &[u8]) -> bool {
        let Some(colon) = pair.iter().position(|&byte| byte == b':') else { return false };
        let (user, password) = (&pair[..colon], &pair[colon + 1..]);
        let hash = std::str::from_utf8(user).ok().and_then(|user| self.users.get(user));
        // A user who is not known takes as long as one who is.
        let any = self.users.values().next().expect("a file without users is refused");
        let fits = bcrypt::verify(password, hash.unwrap_or(any)).unwrap_or(false);
        hash.is_some() && fits
    }
}
