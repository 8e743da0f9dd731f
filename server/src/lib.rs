//! The server: gRPC at the edge, the engine inside, one thread for each core.
//!
//! `main.rs` parses and calls [`boot::boot`], a list of named steps. Everything that knows gRPC is in
//! `edge/`; nothing below it does.
#![forbid(unsafe_code)]

pub mod boot;
pub mod config;
mod archive;
mod core;
pub mod edge;
mod fault;
pub mod logs;
mod start_report;
mod turn_times;

#[doc(hidden)]
pub use edge::fuzz;

pub use fault::{EXIT_CONFIG, EXIT_DAMAGED, EXIT_FOLDER, EXIT_IO, EXIT_OS, EXIT_PORT, EXIT_SOFTWARE, StartFault};
