//! The engine: shards that judge, a committer that makes durable, views of what is durable.
//!
//! Nothing here is asynchronous and nothing here knows a wire format. A caller starts the engine with
//! [`open`], gives each [`Shard`] to a thread that calls [`Shard::turn`] whenever its wake is called, runs
//! the [`Committer`] and the [`Checkpointer`] on threads of their own, and submits commands from anywhere.
//! Tests and the simulator call the same turns from one loop.
#![forbid(unsafe_code)]

mod abort;
mod answer;
mod background;
mod carts;
mod checkpointer;
mod clock;
mod command_traits;
mod committer;
mod crew;
mod damages;
mod directory;
mod engine;
mod event_file;
mod follow;
#[doc(hidden)]
pub mod fuzz;
mod group;
mod handover;
#[cfg(all(test, loom))]
mod interleavings;
pub mod inspect;
mod line;
mod mailbox;
mod new_folder;
mod outstanding;
mod plan_store;
mod rebuild;
mod recovery;
mod repair;
mod replay;
mod reply;
mod resumption;
mod router;
mod salvage;
mod shard;
mod slip;
mod slot_state;
mod status;
mod sync;
mod verify;
mod version;
mod view;
#[cfg(usher_sim)]
mod witness;

pub use answer::{Answer, CartPart, Done, Refused};
pub use background::{Pace, step_back};
pub use checkpointer::{CheckpointFailure, CheckpointReport, Checkpointer};
pub use clock::{Clock, ClockSource, ManualClock, SystemClock};
pub use committer::Committer;
pub use damages::{FoundDamage, damages};
pub use directory::Directory;
pub use engine::{DurableLog, Engine, EngineConfig, NewestCheckpoint};
pub use event_file::{EventFile, EventFileError, RETIRED_DIR, event_file};
pub use follow::{BeginAt, FollowError, Followed, Follower};
pub use new_folder::{NewFolderError, Origin, check_unused, in_a_new_folder};
pub use plan_store::{PLANS_DIR, PlanStore, PlanStoreError, digest_of};
pub use rebuild::{CheckpointContent, LoggedBatch, Rebuild, RebuildError, RebuiltState, Until, checkpoint_content};
pub use recovery::{OpenError, Opened, StartReport, open};
pub use repair::{Loss, Repair, RepairError, RepairReport};
pub use reply::{Lost, Reply, ReplyReceiver, ReplySender, ReplySink, reply_slot};
pub use router::event_key;
pub use salvage::NotSaved;
pub use shard::{Shard, Wake};
pub use status::{ArchiveStatus, ShardStatus, Status};
pub use verify::{Verdict, VerifyError, VerifyReport, state_hash, verify};
// What a keeper of backups needs of the rules.
pub use inventory_core::ids::TimestampMs;
// What a starter needs of the log, so that it need not know that there is one.
pub use view::{AreaCounts, Availability, Counts, EventInfo, EventView, SeatMapSnapshot};
pub use wal::{CheckpointError, DirLock, FileStorage, OpenError as FolderError, RecoverError, WriteError};
#[cfg(usher_sim)]
pub use witness::{Judged, Woke};
