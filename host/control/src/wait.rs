//! Waiting for a condition in tests, with an end. The only place of this crate's tests that sleeps.

use std::time::{Duration, Instant};

/// How long a condition may take on a busy machine before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);
const BETWEEN: Duration = Duration::from_millis(2);

/// Asks until there is an answer; until then the error says how it stands.
pub(crate) fn until<T>(mut probe: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match probe() {
            Ok(answer) => return answer,
            Err(state) => assert!(Instant::now() < end, "not within {PATIENCE:?}: {state}"),
        }
        std::thread::sleep(BETWEEN);
    }
}
