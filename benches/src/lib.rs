//! What the micro-benchmarks and the counted program have in common: seeded input and states to use it on.
//!
//! Invariant: the same call gives the same input in every run and on every machine. No clock and no random
//! number has a say in it; the one clock that is read is the stopwatch in `course.rs`.
//!
//! Not here: what is measured (`benches/`), counting (`src/bin/counted.rs`), other programs (`peers/`).
#![forbid(unsafe_code)]

pub mod arena;
pub mod asked;
pub mod course;
pub mod partition;
pub mod sale;
pub mod seeded;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
