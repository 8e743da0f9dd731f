use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A later answer moves the clock back only if it disagrees by more than this: the delay of one answer does not
/// count, a server with another clock does.
const STEP_BACK_MS_MIN: i64 = 1_000;

/// The server's clock as seen from here: its last told time plus what passed since on the local monotonic clock.
/// Until the first answer it is the local wall clock.
#[derive(Debug)]
pub struct ServerClock {
    started: Instant,
    /// Server milliseconds at `started`.
    base_ms: AtomicI64,
}

impl ServerClock {
    /// A clock that has not heard of a server.
    #[expect(clippy::new_without_default, reason = "reads the wall clock: a default should not")]
    pub fn new() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        Self { started: Instant::now(), base_ms: AtomicI64::new(i64::try_from(wall).unwrap_or(i64::MAX)) }
    }

    /// The server's time, milliseconds since 1970 UTC.
    pub fn now_ms(&self) -> u64 {
        let now = self.base_ms.load(Ordering::Relaxed).saturating_add(self.local_ms());
        u64::try_from(now).unwrap_or(0)
    }

    /// Takes over a time the server told. 0, what an old message leaves unset, tells nothing.
    pub fn learn(&self, server_time_ms: u64) {
        let Ok(server_ms) = i64::try_from(server_time_ms) else { return };
        if server_ms == 0 {
            return;
        }
        let heard = server_ms - self.local_ms();
        let known = self.base_ms.load(Ordering::Relaxed);
        // An answer is told before it is heard, so of near values the greatest is the nearest to the truth.
        if heard > known || heard < known - STEP_BACK_MS_MIN {
            self.base_ms.store(heard, Ordering::Relaxed);
        }
    }

    fn local_ms(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_the_server_forward_and_far_back_but_not_a_late_answer() {
        let clock = ServerClock::new();
        clock.learn(5_000_000_000_000);
        assert!(clock.now_ms() >= 5_000_000_000_000);
        clock.learn(4_999_999_999_700);
        assert!(clock.now_ms() >= 5_000_000_000_000, "an answer 300 ms late does not move it");
        clock.learn(4_000_000_000_000);
        assert!(clock.now_ms() < 4_000_000_100_000, "another server's time does");
        clock.learn(0);
        assert!(clock.now_ms() >= 4_000_000_000_000);
    }
}
