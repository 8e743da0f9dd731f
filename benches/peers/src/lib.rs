//! Side-by-side runs: the same work done by usherd and by what people use today, on loopback, in one run.
//!
//! ```text
//! bench ─> contestant.start ─> (A B A B …, each: warm up, measure) ─> medians, ratios ─> text, JSON, Markdown, HTML
//! ```
//!
//! Contestants of one group do the same work. In most of them two places of an event are held with a time to live, then
//! sold (one in ten) or given back; each answer is durable before it counts, unless a contestant's name says otherwise.
//!
//! This library is the contestants; program `bench` runs them in turn and compares.
//!
//! Not here: micro-benches (crate `benches`), load for people's own servers (crate `loadgen`).

pub mod contestant;
pub mod site;
pub mod served;
pub mod h2load;
pub mod frame;
pub mod loadgen;
pub mod memory;
pub mod disk;
pub mod stock;
pub mod redis;
pub mod resp;
pub mod postgres;
pub mod cores;
pub mod process;
