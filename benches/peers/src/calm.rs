//! Whether the machine was left alone during a run: a thread that sleeps a millisecond over and over notes how late it
//! wakes, and the kernel tells how much processor time a hypervisor took away and how much programs had that are none
//! of ours.
//!
//! Not here: what becomes of a disturbed run (`spread.rs`).

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use peers::process::{TICKS_PER_SECOND, cpu_of_tree};

/// A run in which the thread once woke so much too late was disturbed. It shares its processors with the load, which
/// costs it some milliseconds.
pub(crate) const LATE_MAX: Duration = Duration::from_millis(100);
/// A run with a larger share of stolen time was disturbed.
pub(crate) const STOLEN_SHARE_MAX: f64 = 0.02;

/// A run beside which others had a larger share was disturbed. Threads of the kernel that write to disks are among them
/// and take some percent.
pub(crate) const OTHERS_SHARE_MAX: f64 = 0.1;

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
    /// Share of all processor time that programs had which we did not start.
    pub(crate) others_share: f64,
}

/// Hundredths of a second since the machine began, of all processors.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Ticks {
    stolen: f64,
    /// User and system; of everybody, and of this process with all that it started.
    busy: f64,
    own: f64,
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
        Seen {
            late,
            stolen_share: share(after.stolen - self.before.stolen, self.before, after),
            others_share: share((after.busy - self.before.busy) - (after.own - self.before.own), self.before, after),
        }
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
        if self.others_share > OTHERS_SHARE_MAX {
            found.push(format!("{:.0} % of the time used by others", self.others_share * 100.0));
        }
        (!found.is_empty()).then(|| found.join(", "))
    }
}

fn ticks() -> Ticks {
    let all = parse(&fs::read_to_string("/proc/stat").unwrap_or_default()).unwrap_or_default();
    Ticks { own: cpu_of_tree(std::process::id()).as_secs_f64() * TICKS_PER_SECOND, ..all }
}

/// user, nice, system, idle, iowait, irq, softirq, steal; time of guests behind them is in user already.
fn parse(stat: &str) -> Option<Ticks> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let fields: Vec<f64> = line.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    let fields = fields.get(..8)?;
    Some(Ticks { stolen: fields[7], busy: fields[..3].iter().sum(), own: 0.0, all: fields.iter().sum() })
}

/// Of all the time between two looks. Not below nothing, as they are not of the very same instant.
fn share(part: f64, before: Ticks, after: Ticks) -> f64 {
    let all = after.all - before.all;
    if all > 0.0 { (part / all).max(0.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stolen_time_is_the_eighth_field() {
        let before = parse("cpu  100 0 50 800 10 0 10 30 7 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n").expect("a line");
        assert_eq!(before, Ticks { stolen: 30.0, busy: 150.0, own: 0.0, all: 1_000.0 });
        let after = Ticks { stolen: 40.0, all: 1_200.0, ..before };
        assert!((share(after.stolen - before.stolen, before, after) - 0.05).abs() < 1e-9);
        assert_eq!(share(5.0, before, before), 0.0);
        assert_eq!(share(-5.0, before, after), 0.0);
        assert_eq!(parse("intr 1 2 3"), None);
    }

    #[test]
    fn a_stall_stolen_time_or_others_disturb() {
        let seen = |late_ms, stolen_share, others_share| {
            Seen { late: Duration::from_millis(late_ms), stolen_share, others_share }.disturbance()
        };
        assert_eq!(seen(100, 0.02, 0.1), None);
        assert_eq!(seen(101, 0.0, 0.0).as_deref(), Some("stalled for 101 ms"));
        assert_eq!(seen(150, 0.031, 0.0).as_deref(), Some("stalled for 150 ms, 3.1 % of the time stolen"));
        assert_eq!(seen(0, 0.0, 0.42).as_deref(), Some("42 % of the time used by others"));
    }
}
