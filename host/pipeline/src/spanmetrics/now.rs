//! The time on two clocks.

use std::time::Instant;

use crate::unix;

/// What is shown goes by the time of day. Whatever waits or is done every so often goes by the steady clock, which nobody sets.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// In nanoseconds since the Unix epoch.
    pub unix: u64,
    /// Steady.
    pub steady: Instant,
}

impl Now {
    /// Reads both.
    pub fn read() -> Self {
        Self { unix: unix::nanos(), steady: Instant::now() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;
    use std::time::Duration;

    use super::*;

    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

    impl Now {
        /// So many seconds after the beginning, which is the epoch.
        pub fn after(seconds: u64) -> Self {
            Self { unix: seconds * 1_000_000_000, steady: *BEGIN + Duration::from_secs(seconds) }
        }
    }
}
