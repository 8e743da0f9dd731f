//! The engine: shards that judge, a committer that makes durable, views of what is durable.
//!
//! Nothing here is asynchronous and nothing here knows a wire format. A caller starts the engine with
//! [`open`], gives each [`Shard`] to a thread that calls [`Shard::turn`] whenever its wake is called, runs
//! the [`Committer`] and the [`Checkpointer`] on threads of their own, and submits commands from anywhere.
//! Tests and the simulator call the same turns from one loop.
#![forbid(unsafe_code)]

mod abort;
mod answer;
mod checkpointer;
mod clock;
mod committer;
mod directory;
mod engine;
#[doc(hidden)]
pub mod fuzz;
mod group;
mod handover;
#[cfg(all(test, loom))]
mod interleavings;
mod mailbox;
mod plan_store;
mod recovery;
mod replay;
mod reply;
mod router;
mod shard;
mod slip;
mod status;
mod sync;
mod verify;
mod version;
mod view;

pub use answer::{Answer, Done, Refused};
pub use checkpointer::{CheckpointFailure, CheckpointReport, Checkpointer};
pub use clock::{Clock, ClockSource, ManualClock, SystemClock};
pub use committer::Committer;
pub use directory::Directory;
pub use engine::{Engine, EngineConfig};
pub use plan_store::{PLANS_DIR, PlanStore, PlanStoreError};
pub use recovery::{OpenError, Opened, StartReport, open};
pub use reply::{Lost, Reply, ReplyReceiver, ReplySender, ReplySink, reply_slot};
pub use router::event_key;
pub use shard::{Shard, Wake};
pub use status::{ShardStatus, Status};
pub use verify::{Verdict, VerifyError, VerifyReport, state_hash, verify};
// What a starter needs of the log, so that it need not know that there is one.
pub use view::{AreaCounts, Availability, Counts, EventInfo, EventView, SeatMapSnapshot};
pub use wal::{CheckpointError, DirLock, FileStorage, OpenError as FolderError, RecoverError, WriteError};
