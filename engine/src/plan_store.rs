//! The venue plans: one file each, named by its digest, shared in memory by all events that use it.

use std::{collections::HashMap, fmt, io, sync::Arc};

use inventory_core::{ids::PlanDigest, plan::Plan, slot::Plans};
use parking_lot::RwLock;
use wal::Storage;

/// The folder of the plan files.
pub const PLANS_DIR: &str = "plans";

/// A plan cannot be stored.
#[derive(Debug)]
pub enum PlanStoreError {
    /// The bytes are no plan, or one with errors.
    Invalid(String),
    /// The operating system refused.
    Io {
        /// The file.
        file: String,
        /// The system's reason.
        source: io::Error,
    },
}

impl fmt::Display for PlanStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlanStoreError::Invalid(why) => write!(f, "the plan is not valid: {why}"),
            PlanStoreError::Io { file, source } => write!(f, "{file}: {source}"),
        }
    }
}

impl std::error::Error for PlanStoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            PlanStoreError::Invalid(_) => None,
            PlanStoreError::Io { source, .. } => Some(source),
        }
    }
}

/// Plans on disk and in memory.
pub struct PlanStore {
    storage: Arc<dyn Storage>,
    plans: RwLock<HashMap<PlanDigest, Arc<Plan>>>,
}

#[expect(unused_variables, dead_code, reason = "the skeleton")]
impl PlanStore {
    pub(crate) fn new(storage: Arc<dyn Storage>) -> PlanStore {
        PlanStore { storage, plans: RwLock::default() }
    }

    /// Makes an encoded plan durable and gives it back built. One that is there already is given back as
    /// it is. Slow (a sync, and building a large plan): not for the thread of a shard.
    pub fn put(&self, encoded: Vec<u8>) -> Result<Arc<Plan>, PlanStoreError> {
        unimplemented!("the skeleton")
    }

    /// The plan with this digest, if it was ever stored.
    #[must_use]
    pub fn get(&self, digest: &PlanDigest) -> Option<Arc<Plan>> {
        self.plans.read().get(digest).cloned()
    }
}

impl Plans for PlanStore {
    fn plan(&self, digest: &PlanDigest) -> Arc<Plan> {
        self.get(digest).expect("a plan is durable before the change that names it")
    }
}
