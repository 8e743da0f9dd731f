//! Work that sales go before: checkpoints, snapshots, backups.
//!
//! Such a thread is of the class of threads that run when nothing else wants to (`SCHED_IDLE`): a niced one keeps a
//! processor until its slice ends, and threads that a sale has woken wait for it. And it rests between pieces of work
//! while a sale runs, because what it reads and writes takes caches and memory from the others.
//!
//! Not here: what is urgent all the same (`checkpointer.rs`).

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};

use crate::{engine::Engine, sync::park_timeout};

/// From so many changes a second on a sale is in full swing: a sixth of what two cores did at most, clients included
/// (ADR-0019).
const CHANGES_PER_SECOND_BUSY: f64 = 100_000.0;
/// Rests, in lengths of the work before, when a sale runs.
const RESTS_MAX: f64 = 4.0;
/// So long a thread works at least before it rests.
const WORK_LEAST: Duration = Duration::from_millis(1);
/// And so long it rests at most: what follows is not put off by the slow work before it.
const REST_MAX: Duration = Duration::from_millis(50);

/// Makes this thread, and what it starts from now on, run when nothing else wants to. There is no way back for a thread
/// without privileges. Where the system does not allow it the thread stays as it is.
pub fn step_back() {
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy);
}

/// Runs `other` on a thread that stepped back, and `own` on this one; `own` is told whether there is another. Ends when
/// both have. The other one is unparked when this one ends.
#[cfg(not(any(loom, shuttle)))]
pub(crate) fn beside(name: &str, other: &(dyn Fn() + Sync), own: impl FnOnce(bool)) {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(name.to_owned());
        let started = thread.spawn_scoped(scope, || {
            step_back();
            other();
        });
        own(started.is_ok());
        if let Ok(started) = started {
            started.thread().unpark();
        }
    });
}

/// In a build that runs models there are no threads but theirs.
#[cfg(any(loom, shuttle))]
pub(crate) fn beside(_name: &str, _other: &(dyn Fn() + Sync), own: impl FnOnce(bool)) {
    own(false);
}

/// Rests between pieces of work, the longer the more changes are made meanwhile; without a sale not at all.
pub struct Pace<'e> {
    engine: &'e Engine,
    since: Instant,
    /// What the processor had done for this thread by then.
    used: Duration,
    position: u64,
}

impl<'e> Pace<'e> {
    /// From now on.
    #[must_use]
    pub fn beside(engine: &'e Engine) -> Pace<'e> {
        Pace { engine, since: Instant::now(), used: used_by_this_thread(), position: engine.position() }
    }

    /// To be called after a piece of work, as often as one likes.
    pub fn rest(&mut self) {
        let worked = used_by_this_thread().saturating_sub(self.used);
        if worked < WORK_LEAST {
            return;
        }
        let changes = self.engine.position().saturating_sub(self.position) as f64;
        let share = (changes / self.since.elapsed().as_secs_f64() / CHANGES_PER_SECOND_BUSY).min(1.0);
        if !self.engine.is_behind() {
            park_timeout(worked.mul_f64(share * RESTS_MAX).min(REST_MAX));
        }
        *self = Pace::beside(self.engine);
    }
}

fn used_by_this_thread() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // Neither is negative.
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
