//! The door: everything that knows gRPC, HTTP/2 and protobuf.

pub(crate) mod admin;
pub(crate) mod admission;
mod advice;
mod allocation;
mod price_level;
pub(crate) mod batch;
pub(crate) mod calls;
mod carts;
pub(crate) mod connection;
pub(crate) mod convert;
pub(crate) mod convert_admin;
mod convert_orders;
pub(crate) mod deadline;
#[doc(hidden)]
pub mod fuzz;
pub(crate) mod health;
pub(crate) mod holds;
mod house;
mod history;
mod retire;
pub(crate) mod inventory;
pub mod limits;
pub(crate) mod limits_check;
pub(crate) mod listen;
mod orders;
pub(crate) mod outbox;
pub(crate) mod page_tokens;
pub(crate) mod plan_chunks;
pub(crate) mod refusal;
pub(crate) mod relay;
pub(crate) mod service;
pub(crate) mod session;
pub(crate) mod snapshot;
pub(crate) mod state;
mod touching;
