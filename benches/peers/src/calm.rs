//! Whether the machine was left alone during a run: a thread that sleeps a millisecond over and over notes how late it
//! wakes, and the kernel tells how much processor time a hypervisor took away.
//!
//! Not here: what becomes of a disturbed run (`spread.rs`).

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A run in which the thread once woke so much too late was disturbed. It shares its processors with the load, which
/// costs it some milliseconds.
pub(crate) const LATE_MAX: Duration = Duration::from_millis(100);
/// A run with a larger share of stolen time was disturbed.
pub(crate) const STOLEN_SHARE_MAX: f64 = 0.02;

const NAP: Duration = Duration::from_millis(1);

/// A watch that runs.
pub(crate) struct Watch {
    is_over: Arc<AtomicBool>,
    sleeper: Option<JoinHandle<Duration>>,
    before: Ticks,
}

/// What a watch saw.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// The latest wake-up.
    pub(crate) late: Duration,
    /// Share of all processor time that was stolen.
    pub(crate) stolen_share: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Ticks {
    stolen: f64,
    all: f64,
}

impl Watch {
    /// Begins.
    pub(crate) fn start() -> Watch {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        let work = move || {
            let mut late = Duration::ZERO;
            while !over.load(Ordering::Relaxed) {
                let asleep = Instant::now();
                thread::sleep(NAP);
                late = late.max(asleep.elapsed().saturating_sub(NAP));
            }
            late
        };
        // Without the thread the stolen time is still told.
        let sleeper = thread::Builder::new().name("watch".into()).spawn(work).ok();
        Watch { is_over, sleeper, before: ticks() }
    }

    /// Ends and tells.
    pub(crate) fn stop(mut self) -> Seen {
        self.is_over.store(true, Ordering::Relaxed);
        let after = ticks();
        let late = self.sleeper.take().and_then(|sleeper| sleeper.join().ok()).unwrap_or_default();
        Seen { late, stolen_share: stolen_share(self.before, after) }
    }
}

impl Seen {
    /// What disturbed the run, if anything did.
    pub(crate) fn disturbance(&self) -> Option<String> {
        let mut found = Vec::new();
        if self.late > LATE_MAX {
            found.push(format!("stalled for {} ms", self.late.as_millis()));
        }
        if self.stolen_share > STOLEN_SHARE_MAX {
            found.push(format!("{:.1} % of the time stolen", self.stolen_share * 100.0));
        }
        (!found.is_empty()).then(|| found.join(", "))
    }
}

fn ticks() -> Ticks {
    parse(&fs::read_to_string("/proc/stat").unwrap_or_default()).unwrap_or_default()
}

/// user, nice, system, idle, iowait, irq, softirq, steal; time of guests behind them is in user already.
fn parse(stat: &str) -> Option<Ticks> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let fields: Vec<f64> = line.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    let fields = fields.get(..8)?;
    Some(Ticks { stolen: fields[7], all: fields.iter().sum() })
}

fn stolen_share(before: Ticks, after: Ticks) -> f64 {
    let all = after.all - before.all;
    if all > 0.0 { (after.stolen - before.stolen) / all } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stolen_time_is_the_eighth_field() {
        let before = parse("cpu  100 0 50 800 10 0 10 30 7 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n").expect("a line");
        assert_eq!(before, Ticks { stolen: 30.0, all: 1_000.0 });
        let after = Ticks { stolen: 40.0, all: 1_200.0 };
        assert!((stolen_share(before, after) - 0.05).abs() < 1e-9);
        assert_eq!(stolen_share(before, before), 0.0);
        assert_eq!(parse("intr 1 2 3"), None);
    }

    #[test]
    fn a_stall_or_stolen_time_disturbs() {
        let seen = |late_ms, stolen_share| Seen { late: Duration::from_millis(late_ms), stolen_share }.disturbance();
        assert_eq!(seen(100, 0.02), None);
        assert_eq!(seen(101, 0.0).as_deref(), Some("stalled for 101 ms"));
        assert_eq!(seen(150, 0.031).as_deref(), Some("stalled for 150 ms, 3.1 % of the time stolen"));
    }
}
