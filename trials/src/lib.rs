//! Attacks on the real programs: killed at random, its system calls failing, its disk full; and the judges of what
//! clients were told meanwhile.
#![forbid(unsafe_code)]

pub mod dice;
pub mod history;
pub mod hall;
pub mod recorder;
pub mod crowd;
pub mod usherd;
pub mod log;
pub mod by_position;
pub mod linear;
pub mod judge;
pub mod kill9;
pub mod inject;
pub mod point_in_time;
mod snapshot_cost;

/// The wall clock, for seeds and names only.
pub(crate) fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
