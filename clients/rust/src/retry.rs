use std::time::Duration;

use parking_lot::Mutex;
use rand::RngExt;

use crate::error::Error;

/// When a failed attempt is followed by another.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// Most attempts of one call, the first included. 1: never retry.
    pub attempts_max: u32,
    /// Upper bound of the first pause; it doubles from pause to pause. The pause itself is drawn evenly from zero
    /// to its bound, so that callers that failed together do not come back together.
    pub backoff_first: Duration,
    /// The bound stops growing here.
    pub backoff_max: Duration,
    /// Most retries in hand. When none is left, calls fail at once: a server in trouble is not met with several
    /// times its usual load.
    pub budget: u32,
    /// So many successes earn one retry back.
    pub successes_per_retry: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts_max: 6,
            backoff_first: Duration::from_millis(20),
            backoff_max: Duration::from_secs(1),
            budget: 100,
            successes_per_retry: 10,
        }
    }
}

impl RetryPolicy {
    /// Never try again: for callers with a plan of their own.
    pub fn never() -> Self {
        Self { attempts_max: 1, ..Self::default() }
    }

    /// The bound of the pause after so many failed attempts.
    fn backoff_bound(&self, failed: u32) -> Duration {
        let doublings = failed.saturating_sub(1).min(20);
        self.backoff_first.saturating_mul(1 << doublings).min(self.backoff_max)
    }

    /// The pause after so many failed attempts, never shorter than the server asked for. `chance` is in 0..1.
    fn pause(&self, failed: u32, asked: Option<Duration>, chance: f64) -> Duration {
        let drawn = self.backoff_bound(failed).mul_f64(chance);
        // Asked pauses are jittered upwards: everybody was told the same one.
        asked.map_or(drawn, |asked| asked + drawn)
    }
}

/// The retries a client has in hand, shared by all its calls. Counted in successes, so that the count stays whole.
#[derive(Debug)]
pub(crate) struct Budget {
    successes: Mutex<u64>,
    most: u64,
    retry_costs: u64,
}

impl Budget {
    pub(crate) fn new(policy: &RetryPolicy) -> Self {
        let retry_costs = u64::from(policy.successes_per_retry.max(1));
        let most = u64::from(policy.budget) * retry_costs;
        Self { successes: Mutex::new(most), most, retry_costs }
    }

    pub(crate) fn success(&self) {
        let mut successes = self.successes.lock();
        *successes = (*successes + 1).min(self.most);
    }

    fn take(&self) -> bool {
        let mut successes = self.successes.lock();
        let enough = *successes >= self.retry_costs;
        if enough {
            *successes -= self.retry_costs;
        }
        enough
    }
}

/// One call with its attempts.
#[derive(Debug)]
pub(crate) struct Attempts<'a> {
    policy: &'a RetryPolicy,
    budget: &'a Budget,
    failed: u32,
    /// An earlier attempt may have been executed: then no later answer may be taken for "nothing was done".
    pub(crate) unknown_before: bool,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(policy: &'a RetryPolicy, budget: &'a Budget) -> Self {
        Self { policy, budget, failed: 0, unknown_before: false }
    }

    /// After a failed attempt: how long to wait before the same command is sent again, or nothing when the error is
    /// the caller's to see. `left` is what remains of the call's time.
    pub(crate) fn next_pause(&mut self, error: &Error, left: Duration) -> Option<Duration> {
        self.next_pause_by(error, left, rand::rng().random())
    }

    fn next_pause_by(&mut self, error: &Error, left: Duration, chance: f64) -> Option<Duration> {
        self.failed += 1;
        if !error.is_retryable() {
            return None;
        }
        self.unknown_before |= error.outcome_unknown();
        if self.failed >= self.policy.attempts_max {
            return None;
        }
        let pause = self.policy.pause(self.failed, error.retry_after(), chance);
        // A pause that ends after the call is over would only waste a token.
        (pause < left && self.budget.take()).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Refusal;
    use proto::inventory::v1::{Executed, Reason};

    const LONG: Duration = Duration::from_secs(60);

    fn refused(reason: Reason, retry_after: Option<Duration>) -> Error {
        let mut refusal = Refusal::new(reason, "no");
        refusal.executed = Executed::False;
        refusal.retry_after = retry_after;
        Error::Refused(Box::new(refusal))
    }

    fn lost() -> Error {
        Error::transport("connection lost")
    }

    #[test]
    fn unavailable_and_unknown_outcomes_are_sent_again_and_refusals_are_not() {
        let policy = RetryPolicy::default();
        let budget = Budget::new(&policy);
        let retried = |error: &Error| Attempts::new(&policy, &budget).next_pause(error, LONG).is_some();
        assert!(retried(&refused(Reason::Overloaded, None)));
        assert!(retried(&refused(Reason::Draining, None)));
        assert!(retried(&refused(Reason::StorageFailed, None)));
        assert!(retried(&lost()));
        assert!(retried(&Error::Deadline { executed: Executed::Unknown }));
        assert!(!retried(&Error::Deadline { executed: Executed::False }));
        assert!(!retried(&refused(Reason::PlacesUnavailable, None)));
        assert!(!retried(&refused(Reason::HoldExpired, None)));
        assert!(!retried(&refused(Reason::RateLimited, Some(Duration::from_millis(5)))));
    }

    #[test]
    fn the_pause_doubles_to_its_bound_and_respects_the_server() {
        let policy = RetryPolicy {
            backoff_first: Duration::from_millis(10),
            backoff_max: Duration::from_millis(35),
            ..RetryPolicy::default()
        };
        let bounds: Vec<_> = (1..=4).map(|failed| policy.backoff_bound(failed).as_millis()).collect();
        assert_eq!(bounds, [10, 20, 35, 35]);
        assert_eq!(policy.pause(1, None, 0.0), Duration::ZERO);
        assert_eq!(policy.pause(1, None, 0.5), Duration::from_millis(5));
        assert_eq!(policy.pause(1, Some(Duration::from_millis(80)), 0.5), Duration::from_millis(85));
    }

    #[test]
    fn attempts_the_budget_and_the_time_left_all_end_the_retries() {
        let policy = RetryPolicy { attempts_max: 3, budget: 3, ..RetryPolicy::default() };
        let budget = Budget::new(&policy);
        let mut call = Attempts::new(&policy, &budget);
        assert!(call.next_pause(&lost(), LONG).is_some());
        assert!(call.next_pause(&lost(), LONG).is_some());
        assert!(call.next_pause(&lost(), LONG).is_none(), "three attempts");

        let mut call = Attempts::new(&policy, &budget);
        assert!(call.next_pause_by(&lost(), Duration::ZERO, 0.5).is_none(), "no time left takes no token");
        assert!(Attempts::new(&policy, &budget).next_pause(&lost(), LONG).is_some(), "the third token");
        assert!(Attempts::new(&policy, &budget).next_pause(&lost(), LONG).is_none(), "the budget is empty");
        (0..10).for_each(|_| budget.success());
        assert!(Attempts::new(&policy, &budget).next_pause(&lost(), LONG).is_some(), "ten successes pay one retry");
    }

    #[test]
    fn an_unknown_outcome_is_remembered_by_the_call() {
        let policy = RetryPolicy::default();
        let budget = Budget::new(&policy);
        let mut call = Attempts::new(&policy, &budget);
        call.next_pause(&refused(Reason::Overloaded, None), LONG);
        assert!(!call.unknown_before);
        call.next_pause(&lost(), LONG);
        assert!(call.unknown_before);
    }
}
