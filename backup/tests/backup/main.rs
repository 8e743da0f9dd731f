//! Backups of an engine on one thread, over a disk and a clock in memory: every position comes back as it was.

#[path = "../../../engine/tests/engine/workload.rs"]
#[allow(dead_code, reason = "the engine's own tests use the rest")]
mod workload;
#[path = "../../../engine/tests/engine/world.rs"]
#[allow(dead_code, reason = "the engine's own tests use the rest")]
mod world;

mod archived;
mod damage;
mod moments;
#[cfg(feature = "object-store")]
mod s3;
