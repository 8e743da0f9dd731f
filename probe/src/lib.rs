//! What a simulation sees and does inside the code: four macros that are nothing in a normal build.
//!
//! - [`sometimes!`] marks a place that the simulator must reach, and counts how often it did;
//! - [`buggify!`] lets the simulator take a legal but rare path: a short batch, an early rotation;
//! - [`tell!`] tells it what no answer shows, such as how much was forgotten;
//! - [`planted!`] puts a bug in, chosen at run time, to prove that the simulator finds it.
//!
//! They work only where the whole build was given `--cfg usher_sim`; everywhere else each is the constant
//! `false` or nothing, and the compiler removes what hangs on it. A cfg and not a feature, because
//! `--all-features` must never switch bugs on.
//!
//! State belongs to the thread: a simulated world lives on one, and several worlds run side by side.
#![cfg_attr(not(usher_sim), no_std)]
#![forbid(unsafe_code)]

mod bug;
#[cfg(usher_sim)]
mod world;

pub use bug::Bug;
#[cfg(usher_sim)]
pub use world::{Coverage, Told, arm, buggify, coverage, disarm, planted, reached, tell, told};

/// Marks a place that simulations must reach: `sometimes!("torn tail disregarded")`. With a condition it
/// counts when that holds: `sometimes!("group held back", held)`. The name is unique in the repository.
#[macro_export]
macro_rules! sometimes {
    ($name:literal) => {
        #[cfg(usher_sim)]
        $crate::reached($name);
    };
    ($name:literal, $condition:expr) => {
        #[cfg(usher_sim)]
        if $condition {
            $crate::reached($name);
        }
    };
}

/// Whether to take a rare and legal path here; always false outside a simulation.
#[macro_export]
macro_rules! buggify {
    ($name:literal) => {{
        #[cfg(usher_sim)]
        let takes_rare_path = $crate::buggify($name);
        #[cfg(not(usher_sim))]
        let takes_rare_path = false;
        takes_rare_path
    }};
}

/// Whether a planted bug is chosen; always false outside a simulation: `planted!(AckBeforeSync)`.
#[macro_export]
macro_rules! planted {
    ($bug:ident) => {{
        #[cfg(usher_sim)]
        let is_planted = $crate::planted($crate::Bug::$bug);
        #[cfg(not(usher_sim))]
        let is_planted = {
            let _ = $crate::Bug::$bug;
            false
        };
        is_planted
    }};
}

/// Tells the simulator what no answer shows: `tell!("floor", event_key, floor_ms)`.
#[macro_export]
macro_rules! tell {
    ($what:literal, $first:expr, $second:expr) => {
        #[cfg(usher_sim)]
        $crate::tell($what, $first, $second);
    };
}
