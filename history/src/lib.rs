//! The history of seats, holds and orders while a server runs: an index derived from its log.
//!
//! ```text
//! durable log ─> follower (crate engine) ─> rows ─> sled, in a folder of its own ─> pages for whoever asks
//! ```
//!
//! Invariants:
//!
//! - H1. Nothing depends on it: no shard, no committer and no answer of a sale waits for it, and the log is read as anybody
//!   may read it.
//! - H2. What is not beyond doubt is wiped and made again from the log: a folder that was not closed, or has one other byte
//!   than when it was, a row that does not check, an error or a panic of the store.
//! - H3. A page says what it is complete from and to.
//!
//! Not here: the history of a folder without a server (`usherctl history --data-dir`).
#![forbid(unsafe_code)]

mod row;
mod folder;
mod index;
mod indexer;
mod thread;

pub use index::Of;
pub use indexer::{History, HistoryStatus, Indexer, NotNow, Page, Turn};
pub use row::{Place, Row, hold_ref};
pub use thread::{HistoryThread, Told};
