//! How long to wait before an attempt is made again.

use std::time::Duration;

use super::config::RetryConfig;

/// Longer than this no back end is obeyed: a broken clock or a typing error there must not stop the flow here.
const LONGEST_OBEYED: Duration = Duration::from_mins(15);

/// The delays of one request: exponential, with jitter, never shorter than what the back end asked for.
#[derive(Debug)]
pub(super) struct Backoff {
    initial: Duration,
    next: Duration,
    max: Duration,
}

impl Backoff {
    pub fn new(config: &RetryConfig) -> Self {
        let initial = config.initial.min(config.max);
        Self { initial, next: initial, max: config.max }
    }

    /// Begins anew, after a success.
    pub fn reset(&mut self) {
        self.next = self.initial;
    }

    /// The next delay. `asked` is what the back end wants to be waited; `chance` lies in 0..1 and spreads the attempts of
    /// many over half to one and a half times the delay, or over a tenth beyond what was asked.
    pub fn delay(&mut self, asked: Option<Duration>, chance: f64) -> Duration {
        let own = self.next.mul_f64(0.5 + chance).min(self.max);
        self.next = (self.next * 2).min(self.max);
        asked.map_or(own, |asked| asked.min(LONGEST_OBEYED).mul_f64(1.0 + chance / 10.0).max(own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff() -> Backoff {
        let config =
            RetryConfig { initial: Duration::from_millis(100), max: Duration::from_secs(1), max_elapsed: None };
        Backoff::new(&config)
    }

    #[test]
    fn delays_double_up_to_the_longest() {
        let mut backoff = backoff();
        let delays: Vec<_> = (0..6).map(|_| backoff.delay(None, 0.5).as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1000, 1000]);
    }

    #[test]
    fn after_a_success_delays_begin_anew() {
        let mut backoff = backoff();
        for _ in 0..4 {
            backoff.delay(None, 0.5);
        }
        backoff.reset();
        assert_eq!(backoff.delay(None, 0.5).as_millis(), 100);
    }

    #[test]
    fn jitter_spreads_around_the_delay_but_not_beyond_the_longest() {
        assert_eq!(backoff().delay(None, 0.0).as_millis(), 50);
        assert_eq!(backoff().delay(None, 0.99).as_millis(), 149);
        let mut late = backoff();
        for _ in 0..9 {
            late.delay(None, 0.0);
        }
        assert_eq!(late.delay(None, 0.99).as_millis(), 1000);
    }

    #[test]
    fn what_the_back_end_asks_for_is_waited_out_and_backoff_goes_on_from_there() {
        let mut backoff = backoff();
        assert_eq!(backoff.delay(Some(Duration::from_secs(5)), 0.0).as_secs(), 5);
        assert_eq!(backoff.delay(Some(Duration::from_millis(1)), 0.5).as_millis(), 200);
        assert_eq!(backoff.delay(Some(Duration::MAX), 0.0), LONGEST_OBEYED);
    }
}
