use std::time::{Duration, Instant};

/// Closer than this to its time a sender spins: tokio's timer is good to a millisecond, which would be most of the
/// latency of a quiet server.
const SPIN: Duration = Duration::from_millis(2);

/// The intended send times of an open loop: evenly spaced, whatever the answers do. Latency is counted from here, so
/// a server that stalls is charged for everyone who would have come meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct Pacer {
    start: Instant,
    interval_ns: f64,
    sent: u64,
}

impl Pacer {
    pub(crate) fn new(start: Instant, rate_per_second: f64) -> Self {
        Self { start, interval_ns: 1e9 / rate_per_second, sent: 0 }
    }

    /// When the next one is due.
    pub(crate) fn next_due(&self) -> Instant {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "nanoseconds of a run fit in u64")]
        let offset = (self.sent as f64 * self.interval_ns) as u64;
        self.start + Duration::from_nanos(offset)
    }

    /// Takes the next one if it is due: its intended time.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Instant> {
        let due = self.next_due();
        (due <= now).then(|| {
            self.sent += 1;
            due
        })
    }

    /// Waits for the next one, and takes it.
    pub(crate) async fn wait(&mut self) -> Instant {
        loop {
            let now = Instant::now();
            if let Some(due) = self.take_due(now) {
                return due;
            }
            wait_until(self.next_due(), now).await;
        }
    }
}

/// Waits towards a time, asleep while it is far and spinning when it is near.
pub(crate) async fn wait_until(due: Instant, now: Instant) {
    match due.checked_duration_since(now) {
        Some(left) if left > SPIN => tokio::time::sleep(left - SPIN).await,
        _ => tokio::task::yield_now().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intended_times_do_not_slip_when_the_sender_is_late() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start, 1_000.0);
        assert_eq!(pacer.take_due(start), Some(start));
        assert_eq!(pacer.take_due(start), None);
        let late = start + Duration::from_millis(10);
        let due: Vec<_> = std::iter::from_fn(|| pacer.take_due(late)).collect();
        assert_eq!(due.len(), 10);
        assert_eq!(due[0], start + Duration::from_millis(1));
        assert_eq!(due[9], start + Duration::from_millis(10));
    }
}
