//! Where runs happen: on which processors, with which programs, in which folder.
//!
//! Not here: the machine's description (`machine.rs`).

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::cores::Cores;

/// What all contestants of ours share.
#[derive(Clone, Debug)]
pub struct Site {
    /// Processors of servers and clients.
    pub cores: Cores,
    /// The folder with `usherd`, `usherctl`, `loadgen` and `echo`.
    pub programs: PathBuf,
    /// Data folders are made in here. On a disk: what is measured is durable.
    pub data: PathBuf,
    /// The rate of open loops.
    pub pace: Pace,
}

impl Site {
    /// The same with servers and clients on all processors.
    #[must_use]
    pub fn shared(&self) -> Site {
        Site { cores: self.cores.shared(), ..self.clone() }
    }
}

/// Arrivals a second of an open loop: unknown until a peak was measured, and then the same for all who are compared.
#[derive(Clone, Debug, Default)]
pub struct Pace(Arc<AtomicU64>);

impl Pace {
    /// Sets it for all who share this.
    pub fn set(&self, arrivals_per_second: u64) {
        self.0.store(arrivals_per_second, Ordering::Relaxed);
    }

    /// The rate, when it is known.
    #[must_use]
    pub fn get(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|&rate| rate > 0)
    }
}
