//! Seat inventory: who may have which seat, and until when. No clock, no file, no thread.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod limits;
pub mod ids;
pub mod place;
pub mod policy;
pub mod plan;
pub mod plan_codec;
mod stretch;
pub mod command;
pub mod reject;
pub mod change;
pub mod slot;
pub mod ahead;
pub mod allocation;
mod decide;
mod reach;
mod rules;
mod abandoned;
mod resting;
pub mod price_level;
pub mod place_set;
pub mod direct_sale;
pub mod giving_back;
pub mod cart;
pub mod kill;
pub mod retire;
pub mod order;
pub mod openings;
pub mod best_available;
pub mod ladder;
pub mod orphan;
mod apply;
pub mod codec;
pub mod image;
pub mod event;
mod bitmap;
mod hold;
mod expiry;
mod table;
mod digest;
mod bytes;
