//! Seat inventory: who may have which seat, and until when. No clock, no file, no thread.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod best_available;
pub mod change;
pub mod command;
mod digest;
pub mod ids;
pub mod limits;
pub mod place;
pub mod plan;
pub mod plan_codec;
pub mod policy;
pub mod reject;
pub mod slot;
