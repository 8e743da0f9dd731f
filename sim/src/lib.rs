//! The production engine under one seed: one thread, virtual time, a disk that breaks.
#![forbid(unsafe_code)]

pub mod sweep;
