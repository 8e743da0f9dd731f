//! What fuzzing runs: one function for each thing that reads bytes of others. It takes any bytes and panics
//! when something is wrong: a panic inside the reader, or something read that does not write back the same.
//!
//! They are run in two ways. `cargo test -p fuzz-targets` runs every file of `fuzz/corpus` and some thousand
//! seeded mutations of each; `cargo xtask fuzz` lets libFuzzer look for inputs that reach new code.
//!
//! Not here: whether a damaged log is recovered or refused rightly (crate `wal`, and `cargo xtask sweep`),
//! and applying changes that check and do not fit: that is a bug of ours, and stops the process.
#![forbid(unsafe_code)]

mod checkpoints;
mod documents;
mod log;
pub mod mutate;
mod plans;
mod records;
mod requests;

/// Something that reads bytes of others.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, that of its folder in `fuzz/corpus`.
    pub name: &'static str,
    /// What it does with any bytes.
    pub run: fn(&[u8]),
    /// Longer inputs find nothing more.
    pub bytes_max: usize,
}

/// All of them, in the order in which bytes reach a server: from its files, then from its callers.
pub const TARGETS: &[Target] = &[
    Target { name: "records", run: records::records, bytes_max: 4 << 10 },
    Target { name: "runs", run: records::runs, bytes_max: 4 << 10 },
    Target { name: "frames", run: log::frames, bytes_max: 8 << 10 },
    Target { name: "segment_headers", run: log::segment_headers, bytes_max: 512 },
    Target { name: "watermarks", run: log::watermarks, bytes_max: 512 },
    Target { name: "logs", run: log::logs, bytes_max: 512 },
    Target { name: "checkpoints", run: checkpoints::checkpoints, bytes_max: 16 << 10 },
    Target { name: "images", run: checkpoints::images, bytes_max: 8 << 10 },
    Target { name: "plans", run: plans::plans, bytes_max: 16 << 10 },
    Target { name: "usher_documents", run: documents::usher, bytes_max: 16 << 10 },
    Target { name: "seatsio_charts", run: documents::seatsio, bytes_max: 16 << 10 },
    Target { name: "pretix_plans", run: documents::pretix, bytes_max: 16 << 10 },
    Target { name: "requests", run: requests::requests, bytes_max: 4 << 10 },
    Target { name: "sessions", run: requests::sessions, bytes_max: 4 << 10 },
];

/// The image of a slot with one event and one hold, for seeds.
#[must_use]
pub fn image_of_a_house() -> Vec<u8> {
    requests::image()
}

/// The key of an event, for seeds.
#[must_use]
pub fn key_of(event: &str) -> u64 {
    engine::event_key(event).0
}

/// The target with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
