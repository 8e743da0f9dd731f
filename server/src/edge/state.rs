//! What all connections of all cores share.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
    time::{Instant, SystemTime},
};

use engine::{Engine, FileStorage};
use history::History;
use tokio::sync::Semaphore;

use super::{
    admission::Admission,
    page_tokens::PageTokens,
    refusal::{Refusable, Refusal},
    session::Sessions,
};
use crate::turn_times::TurnTimes;

/// What the server does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Reading its log.
    Recovering = 0,
    /// Taking commands.
    Serving = 1,
    /// Stopping.
    Draining = 2,
}

/// What all connections share.
pub(crate) struct Edge {
    phase: AtomicU8,
    engine: OnceLock<Arc<Engine>>,
    storage: OnceLock<Arc<FileStorage>>,
    history: OnceLock<History>,
    serving_since: OnceLock<Instant>,
    /// When the program started.
    pub(crate) started_at: SystemTime,
    /// What state may use.
    pub(crate) memory_budget_bytes: u64,
    /// How many commands are admitted.
    pub(crate) admission: Admission,
    /// The open Sessions.
    pub(crate) sessions: Sessions,
    /// MiB of plan documents that may be read at a time: a document in memory takes some 40 times its text.
    pub(crate) plan_work: Arc<Semaphore>,
    /// Tokens of the pages of lists.
    pub(crate) page_tokens: PageTokens,
    /// Snapshots are made one at a time.
    pub(crate) snapshot_work: Arc<Semaphore>,
    /// How long turns take.
    pub(crate) turn_times: Arc<TurnTimes>,
}

/// MiB of plan documents that are read at a time: one of the largest.
pub(crate) const PLAN_WORK_MIB: u32 = 64;

impl Edge {
    /// The edge of a server that is starting.
    pub(crate) fn new(memory_budget_bytes: u64) -> Edge {
        Edge {
            phase: AtomicU8::new(Phase::Recovering as u8),
            engine: OnceLock::new(),
            storage: OnceLock::new(),
            history: OnceLock::new(),
            serving_since: OnceLock::new(),
            started_at: SystemTime::now(),
            memory_budget_bytes,
            admission: Admission::default(),
            sessions: Sessions::default(),
            plan_work: Arc::new(Semaphore::new(PLAN_WORK_MIB as usize)),
            page_tokens: PageTokens::new(),
            snapshot_work: Arc::new(Semaphore::new(1)),
            turn_times: Arc::default(),
        }
    }

    /// What the server does now.
    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Recovering,
            1 => Phase::Serving,
            _ => Phase::Draining,
        }
    }

    /// From now on commands are taken.
    pub(crate) fn serve(&self, engine: Arc<Engine>, storage: Arc<FileStorage>, history: Option<History>) {
        // Set together with the engine, once.
        if let Some(history) = history {
            let _first = self.history.set(history);
        }
        let _first = self.storage.set(storage);
        if self.engine.set(engine).is_ok() {
            let _first = self.serving_since.set(Instant::now());
            self.phase.store(Phase::Serving as u8, Ordering::Release);
        }
    }

    /// From now on nothing new is taken.
    pub(crate) fn drain(&self) {
        self.phase.store(Phase::Draining as u8, Ordering::Release);
    }

    /// Since when commands are taken.
    pub(crate) fn serving_since(&self) -> Option<Instant> {
        self.serving_since.get().copied()
    }

    /// The engine, whatever the phase, once it is there.
    pub(crate) fn engine_if_any(&self) -> Option<&Arc<Engine>> {
        self.engine.get()
    }

    /// The data folder, once there is an engine.
    pub(crate) fn storage(&self) -> Refusable<&Arc<FileStorage>> {
        self.storage.get().ok_or_else(Refusal::recovering)
    }

    /// The history, when it is kept.
    pub(crate) fn history(&self) -> Option<&History> {
        self.history.get()
    }

    /// The engine, while something new may begin.
    pub(crate) fn engine(&self) -> Refusable<&Arc<Engine>> {
        match self.phase() {
            Phase::Recovering => Err(Refusal::recovering()),
            Phase::Draining => Err(Refusal::draining()),
            Phase::Serving => self.engine.get().ok_or_else(Refusal::recovering),
        }
    }
}
