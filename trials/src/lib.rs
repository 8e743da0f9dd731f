//! Attacks on the real binary: killed at random, its system calls failing, its disk full.
#![forbid(unsafe_code)]
