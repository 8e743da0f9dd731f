use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use tokio::io::unix::AsyncFd;

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
    pub(crate) async fn wait(&mut self, timer: &Timer) -> Instant {
        loop {
            let now = Instant::now();
            if let Some(due) = self.take_due(now) {
                return due;
            }
            timer.sleep(self.next_due().saturating_duration_since(now)).await;
        }
    }
}

/// A timer of the kernel's. tokio's is good to a millisecond, which would be most of the latency of a quiet server,
/// and spinning would take a core from the server under test.
#[derive(Debug)]
pub(crate) struct Timer {
    fd: AsyncFd<OwnedFd>,
}

impl Timer {
    /// Must be called on a tokio runtime.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags).context("cannot make a timer")?;
        // Its successor is unsafe because a foreign type may change its descriptor meanwhile. An `OwnedFd` does not.
        #[expect(deprecated, reason = "the promise its unsafe successor asks for is the type's own here")]
        let fd = AsyncFd::new(fd).context("cannot watch a timer")?;
        Ok(Self { fd })
    }

    /// Sleeps for this time; some 50 us longer on an idle machine. Sleeping again forgets a sleep that was given up.
    pub(crate) async fn sleep(&self, time: Duration) {
        let none = Timespec { tv_sec: 0, tv_nsec: 0 };
        // Zero would stop the timer instead of ending it at once.
        let time = time.max(Duration::from_nanos(1));
        let value = Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(time.subsec_nanos()),
        };
        let timer = Itimerspec { it_interval: none, it_value: value };
        if rustix::time::timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &timer).is_err() {
            return tokio::time::sleep(time).await;
        }
        loop {
            let Ok(mut ready) = self.fd.readable().await else { return };
            // The kernel says how often it has ended; nothing to read means that it is still running.
            if rustix::io::read(&self.fd, &mut [0; 8]).is_ok() {
                return;
            }
            ready.clear_ready();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_ends_and_can_be_set_again() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let timer = Timer::new().expect("a timer");
            for time in [Duration::ZERO, Duration::from_micros(100), Duration::from_micros(300)] {
                let started = Instant::now();
                timer.sleep(time).await;
                assert!(started.elapsed() >= time);
            }
        });
    }

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
