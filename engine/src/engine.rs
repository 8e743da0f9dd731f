//! What the threads of one partition share, and the door through which commands come in.

use std::sync::Arc;

use inventory_core::{
    command::Command,
    ids::{EventKey, TimestampMs},
};

use crate::{
    answer::Refused, clock::Clock, directory::Directory, plan_store::PlanStore, reply::Reply, status::Status,
};

/// How an engine runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// How many shards the slots are dealt to; may differ from start to start.
    pub shards: usize,
    /// Size of a segment of the log.
    pub segment_bytes: u64,
    /// Memory that state may use; bounds the memory of ended holds.
    pub memory_budget_bytes: u64,
    /// Commands that may wait for one shard. Holds are taken up to 70 % of it.
    pub mailbox_commands_max: usize,
    /// Start although the wall clock is far from the log's time.
    pub accept_clock_jump: bool,
    /// A checkpoint is due when the sealed log that none covers exceeds this, or the size of the newest one.
    pub checkpoint_log_bytes: u64,
    /// A checkpoint is due at so many sealed segments that none covers.
    pub checkpoint_segments: usize,
    /// No threads of its own and segments of full size from the first, for tests and the simulator: the same
    /// calls give the same storage operations in the same order.
    pub deterministic: bool,
}

impl Default for EngineConfig {
    fn default() -> Self {
        EngineConfig {
            shards: 1,
            segment_bytes: 64 << 20,
            memory_budget_bytes: 4 << 30,
            mailbox_commands_max: 65_536,
            accept_clock_jump: false,
            checkpoint_log_bytes: 256 << 20,
            checkpoint_segments: 32,
            deterministic: false,
        }
    }
}

/// What the threads of one partition share.
pub struct Engine {}

#[expect(unused_variables, reason = "the skeleton")]
impl Engine {
    /// Sets what is called when a shard's turn should be: mail arrived, or a group was taken or is durable.
    /// Called from any thread; it must not wait and must not call back into the engine.
    pub fn set_wake(&self, shard: usize, wake: Arc<dyn Fn() + Send + Sync>) {
        unimplemented!("the skeleton")
    }

    /// Gives a command to the shard of its event. Never waits. Its answer goes to `reply`, once; refused
    /// here, `reply` is dropped unanswered. A command whose `deadline` has passed when its turn comes is
    /// not executed.
    pub fn submit(
        &self,
        key: EventKey,
        command: Command,
        deadline: Option<TimestampMs>,
        reply: Reply,
    ) -> Result<(), Refused> {
        unimplemented!("the skeleton")
    }

    /// The durable events.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        unimplemented!("the skeleton")
    }

    /// The plans.
    #[must_use]
    pub fn plans(&self) -> &PlanStore {
        unimplemented!("the skeleton")
    }

    /// The engine's clock.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        unimplemented!("the skeleton")
    }

    /// The engine in numbers.
    #[must_use]
    pub fn status(&self) -> Status {
        unimplemented!("the skeleton")
    }

    /// Grows with every restore.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        unimplemented!("the skeleton")
    }

    /// The shard of an event.
    #[must_use]
    pub fn shard_of(&self, key: EventKey) -> usize {
        unimplemented!("the skeleton")
    }

    /// From now on every command is refused with [`Refused::Draining`]; what waits is still judged.
    pub fn drain(&self) {
        unimplemented!("the skeleton")
    }

    /// Whether nothing waits and every answer is out.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        unimplemented!("the skeleton")
    }

    /// Ends the committer: the log gets its clean end and [`crate::Committer::run`] returns. Call it when
    /// [`Engine::is_idle`].
    pub fn stop(&self) {
        unimplemented!("the skeleton")
    }
}
