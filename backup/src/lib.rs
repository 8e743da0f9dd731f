//! Backups of a running server: snapshots, the archived log, and what is restored from them.
//!
//! ```text
//! durable log ──> archiver ──> store: snapshots, parts of the log, plans   (catalog: their names)
//! checkpoint ───> snapshot ──┘   │                                          (sealed: their form)
//!                                └──> restore: newest snapshot, then the log up to one moment ──> new folder
//! ```
//!
//! What it promises: nothing that was not durable is ever in a backup; an object is used only when all of it
//! checks; what is missing is named and never passed over.
//!
//! What it does not do: it writes no data folder (`engine` does), asks no server (`usherctl` does), and removes
//! nothing from a store.
#![forbid(unsafe_code)]

mod sealed;
mod store;
mod location;
#[cfg(feature = "object-store")]
mod remote;
mod catalog;
mod snapshot;
mod log_object;
mod archiver;
mod restore;
mod check;

pub use archiver::{ArchiveFault, Archived, Archiver};
pub use catalog::{Catalog, Future, LogEntry, SnapshotEntry, instance_text, log_name, plan_name, snapshot_name};
pub use check::{CheckReport, CheckedFuture, Span, check};
pub use location::{Location, LocationError, open_source, open_store, open_target};
pub use restore::{Progress, RestoreError, RestorePlan, Wanted, plan_restore, read_head, rebuild};
pub use sealed::{FORMAT, Head, Kind, Seal, SealedError, SealedReader, SealedWriter};
pub use snapshot::{SnapshotError, SnapshotSource};
pub use store::{Fill, FolderStore, Listed, Store, StoreError};
