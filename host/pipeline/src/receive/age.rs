//! How old a connection may grow. Senders keep connections for ever, so that a load balancer never gets to spread them over instances
//! that were added; one that ends in good order now and then is opened anew, maybe elsewhere.

use std::time::Duration;

use tokio::time::Instant;

/// Connections that were opened together, as after a restart, do not all end together: each ends earlier by up to this part.
const JITTER: f64 = 0.1;

/// When a connection has lived for long enough, if ever.
#[derive(Debug, Clone, Copy)]
pub(super) struct Age(Option<Instant>);

impl Age {
    /// Counts from now.
    pub fn of_new(most: Option<Duration>) -> Self {
        Self(most.map(|most| Instant::now() + most.mul_f64(1.0 - JITTER * rand::random::<f64>())))
    }

    pub fn is_over(self) -> bool {
        self.0.is_some_and(|end| Instant::now() >= end)
    }

    pub async fn over(self) {
        match self.0 {
            Some(end) => tokio::time::sleep_until(end).await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn connections_end_within_the_last_tenth_of_their_time_and_not_all_at_once() {
        let most = Duration::from_secs(1000);
        let start = Instant::now();
        let mut ends: Vec<Duration> = (0..200).map(|_| Age::of_new(Some(most)).0.unwrap() - start).collect();
        ends.sort();
        assert!(ends[0] >= most * 9 / 10 && ends[199] <= most, "{:?} to {:?}", ends[0], ends[199]);
        assert!(ends[199].saturating_sub(ends[0]) > most / 20, "all end together");
        let age = Age::of_new(Some(most));
        assert!(!age.is_over());
        age.over().await;
        assert!(age.is_over());
        assert!(!Age::of_new(None).is_over());
    }
}
