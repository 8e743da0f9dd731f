//! Attacks on the real programs: killed at random, its system calls failing, its disk full; and the judges of what
//! clients were told meanwhile.
#![forbid(unsafe_code)]

pub mod by_position;
pub mod dice;
pub mod hall;
pub mod history;
pub mod linear;
pub mod recorder;
