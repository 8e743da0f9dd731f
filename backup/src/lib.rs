//! Backups of a running server: snapshots, the archived log, and what is restored from them.
#![forbid(unsafe_code)]
