use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::supply::Supply;
use crate::options::Options;
use crate::report::Window;

/// What all workers of a churn run share.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) options: Options,
    pub(crate) supply: Arc<Supply>,
    pub(crate) workers: usize,
    /// Commands that may still be begun; below zero the run ends.
    commands_left: AtomicI64,
    counted: bool,
    interrupted: AtomicBool,
    answered: AtomicU64,
    unserved: AtomicU64,
    clock: Mutex<Option<Clock>>,
    failure: Mutex<Option<String>>,
}

#[derive(Clone, Copy, Debug)]
struct Clock {
    measure_from: Instant,
    stop_at: Option<Instant>,
    window: Window,
}

impl Run {
    pub(crate) fn new(options: &Options, workers: usize) -> Self {
        let commands = options.commands.map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        Self {
            options: options.clone(),
            supply: Arc::new(Supply::new(options, workers)),
            workers,
            commands_left: AtomicI64::new(commands.unwrap_or(0)),
            counted: commands.is_some(),
            interrupted: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            unserved: AtomicU64::new(0),
            clock: Mutex::new(None),
            failure: Mutex::new(None),
        }
    }

    /// The first worker that is ready starts the clock, for all.
    pub(crate) fn start(&self) -> Started {
        let mut clock = self.clock.lock();
        let clock = clock.get_or_insert_with(|| {
            let now = Instant::now();
            let duration = match (self.options.duration, self.counted) {
                (Some(duration), _) => Some(duration),
                (None, true) => None,
                (None, false) => Some(Duration::from_secs(10)),
            };
            let measure_from = now + self.options.warmup;
            let stop_at = duration.map(|duration| measure_from + duration);
            Clock { measure_from, stop_at, window: Window::begin(&self.options) }
        });
        let open_loop = self.options.rate.is_some();
        Started { measure_from: clock.measure_from, stop_at: clock.stop_at, open_loop }
    }

    /// Begins the measured window anew, at the end of the warm-up.
    pub(crate) fn warm(&self) {
        if let Some(clock) = self.clock.lock().as_mut() {
            clock.window = Window::begin(&self.options);
        }
    }

    /// The window, ended.
    pub(crate) fn window(&self) -> Option<Window> {
        self.clock.lock().map(|clock| clock.window.end(clock.stop_at))
    }

    /// Leave to begin a hold and to end it: two commands.
    pub(crate) fn may_begin(&self) -> bool {
        !self.counted || self.commands_left.fetch_sub(2, Ordering::Relaxed) >= 2
    }

    pub(crate) fn count_answers(&self, count: u64) {
        self.answered.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Arrivals of an open loop whose turn never came.
    pub(crate) fn count_unserved(&self, count: u64) {
        self.unserved.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn unserved(&self) -> u64 {
        self.unserved.load(Ordering::Relaxed)
    }

    pub(crate) fn fail(&self, problem: String) {
        self.failure.lock().get_or_insert(problem);
        self.interrupt();
    }

    /// No more holds are to be begun.
    pub(crate) fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Relaxed);
    }

    /// Something ended the run before its time.
    pub(crate) fn has_ended(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.lock().clone()
    }
}

/// When to measure and when to stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Started {
    pub(crate) measure_from: Instant,
    pub(crate) stop_at: Option<Instant>,
    open_loop: bool,
}

impl Started {
    /// Whether a command counts. In a closed loop by its answer: that is what was done in the time. In an open loop
    /// by its intended time: leaving out what was still waiting at the end would hide a stall.
    pub(crate) fn is_measured(&self, intended: Instant, answered: Instant) -> bool {
        let moment = if self.open_loop { intended } else { answered };
        moment >= self.measure_from && self.stop_at.is_none_or(|stop| moment <= stop)
    }

    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.stop_at.is_some_and(|stop| now >= stop)
    }
}
