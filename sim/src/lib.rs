//! The production engine under one seed: one thread, virtual time, a disk that breaks, buyers that repeat
//! themselves, and the naive model that says what must come of it.
//!
//! ```text
//! seed ─> options ─> world: steps ─> heal ─> everything pending ends ─> whole log replayed
//!                     │ commands, turns, time, falls, faults
//!                     └ every answer, every start, every view held against the model
//! ```
//!
//! The same seed gives the same bytes. What runs is what runs in production: the turns of shard, committer and
//! checkpointer, `open`, `verify`. Built with `--cfg usher_sim` rare paths are taken and bugs can be planted.
//!
//! Not here: threads (loom and shuttle look at those), real files and processes (crate `trials`), the wire.
#![forbid(unsafe_code)]

pub mod random;
pub mod options;
pub mod house;
pub mod traffic;
pub mod reference;
pub mod disk;
pub mod damage;
pub mod world;
mod carts;
mod faults;
mod fall;
mod restore;
mod answers;
mod archived;
mod views;
pub mod violation;
pub mod run;
pub mod shrink;
pub mod campaign;
pub mod sites;
pub mod planted;
pub mod command;
pub mod sweep;
